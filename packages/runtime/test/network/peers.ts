/** Small Python programs that tests run in namespaces. Each prints a line when it is ready. */

/** Answers every connection with who it came from, and prints it. Arguments: address, port. */
export const tcpGreeter = `
import socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
s = socket.socket(family)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], int(sys.argv[2]))); s.listen(64)
print('ready', flush=True)
while True:
    c, a = s.accept()
    c.sendall(('hello ' + a[0] + '\\n').encode()); c.close()
    print(a[0], flush=True)
`;

/** Prints source and text of every datagram, and sends it back. Arguments: address, port. */
export const udpEcho = `
import socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.bind((sys.argv[1], int(sys.argv[2])))
print('ready', flush=True)
while True:
    d, a = s.recvfrom(2000)
    s.sendto(d, a)
    print(a[0], d.decode(), flush=True)
`;

/** How long the two clients below wait when they are to get nothing, seconds. */
export const inVain = "1.5";

/** Connects and prints what comes, or the error's name. Arguments: address, port, seconds to wait. */
export const tcpClient = `
import socket, sys, errno
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3]) if len(sys.argv) > 3 else 20)
    print(s.recv(100).decode().strip())
except Exception as e:
    print(type(e).__name__)
`;

/** Sends a datagram and prints the answer. Arguments: address, port, text, seconds, source address. */
export const udpClient = `
import socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
if len(sys.argv) > 5: s.bind((sys.argv[5], 0))
s.settimeout(float(sys.argv[4]) if len(sys.argv) > 4 else 20)
try:
    s.sendto(sys.argv[3].encode(), (sys.argv[1], int(sys.argv[2])))
    print(s.recv(2000).decode())
except Exception as e:
    print(type(e).__name__)
`;

/** Says by ARP that an address is at one's own MAC. Arguments: address. */
export const arpClaim = `
import socket, sys
import fcntl, struct
q = socket.socket()
mac = fcntl.ioctl(q, 0x8927, struct.pack('256s', b'eth0'))[18:24]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0))
ip = socket.inet_aton(sys.argv[1])
for op in (1, 2):
    frame = b'\\xff' * 6 + mac + b'\\x08\\x06' + struct.pack('!HHBBH', 1, 0x0800, 6, 4, op)
    s.send(frame + mac + ip + b'\\xff' * 6 + ip)
print('sent')
`;

/** Sends an honest question by ARP in a frame that claims another's MAC. Arguments: MAC, own address. */
export const frameClaim = `
import socket, sys, fcntl, struct
q = socket.socket()
mac = fcntl.ioctl(q, 0x8927, struct.pack('256s', b'eth0'))[18:24]
claimed = bytes.fromhex(sys.argv[1].replace(':', ''))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0))
ip = socket.inet_aton(sys.argv[2])
head = b'\\xff' * 6 + claimed + b'\\x08\\x06' + struct.pack('!HHBBH', 1, 0x0800, 6, 4, 1)
s.send(head + mac + ip + b'\\0' * 6 + ip)
print('sent')
`;
