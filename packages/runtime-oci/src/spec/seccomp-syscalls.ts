import type { CapabilityName } from "./capability-names.ts";

/**
 * System calls by what the default profile does with them. Names are those of Linux up to 6.16 on all architectures; what
 * a machine's libseccomp does not know, the runtime leaves out.
 *
 * @see https://man7.org/linux/man-pages/man2/syscalls.2.html
 */

/** Calls that act only on the caller, on what it holds open, and on what file permissions guard. */
export const allowedSyscalls: readonly string[] = words(`
  read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek _llseek
  open openat openat2 creat close close_range dup dup2 dup3 fcntl fcntl64 ioctl
  stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx oldstat oldlstat oldfstat
  statfs statfs64 fstatfs fstatfs64 statmount listmount
  access faccessat faccessat2 chmod fchmod fchmodat fchmodat2 chown chown32 lchown lchown32 fchown fchown32 fchownat umask
  truncate truncate64 ftruncate ftruncate64 fallocate flock
  link linkat symlink symlinkat readlink readlinkat unlink unlinkat rename renameat renameat2
  mkdir mkdirat rmdir mknod mknodat chdir fchdir getcwd getdents getdents64 readdir
  utime utimes utimensat utimensat_time64 futimesat
  getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat
  listxattr llistxattr flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat
  file_getattr file_setattr name_to_handle_at
  sync syncfs fsync fdatasync sync_file_range sync_file_range2 arm_sync_file_range
  readahead fadvise64 fadvise64_64 arm_fadvise64_64 cachestat
  sendfile sendfile64 splice tee vmsplice copy_file_range
  pipe pipe2 eventfd eventfd2 signalfd signalfd4 memfd_create memfd_secret
  inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark
  select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64
  epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2
  io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64

  mmap mmap2 munmap mprotect mremap msync madvise mincore brk remap_file_pages membarrier mseal map_shadow_stack
  mlock mlock2 mlockall munlock munlockall pkey_alloc pkey_free pkey_mprotect process_mrelease

  socketpair bind connect listen accept accept4 shutdown getsockname getpeername getsockopt setsockopt
  send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64 socketcall

  fork vfork execve execveat exit exit_group wait4 waitid waitpid
  getpid getppid gettid getpgid getpgrp getsid setpgid setsid set_tid_address
  pidfd_open pidfd_send_signal kill tkill tgkill pause alarm
  signal sigaction sigaltstack sigpending sigprocmask sigreturn sigsuspend
  rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_sigtimedwait_time64 rt_tgsigqueueinfo restart_syscall
  getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getgroups getgroups32
  getresuid getresuid32 getresgid getresgid32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32
  setresuid setresuid32 setresgid setresgid32 setgroups setgroups32 setfsuid setfsuid32 setfsgid setfsgid32
  capget capset prctl seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self
  lsm_get_self_attr lsm_set_self_attr lsm_list_modules
  ptrace process_vm_readv process_vm_writev

  futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue get_robust_list set_robust_list rseq
  get_thread_area set_thread_area arch_prctl modify_ldt set_tls cacheflush breakpoint uretprobe uprobe
  sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam
  sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min
  sched_rr_get_interval sched_rr_get_interval_time64 getpriority setpriority nice ioprio_get ioprio_set
  getrlimit ugetrlimit setrlimit prlimit64 getrusage getcpu times sysinfo uname olduname oldolduname
  getrandom time gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64
  clock_nanosleep clock_nanosleep_time64 nanosleep getitimer setitimer
  adjtimex clock_adjtime clock_adjtime64
  timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
  timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64

  ipc msgget msgctl msgrcv msgsnd semget semctl semop semtimedop semtimedop_time64 shmget shmctl shmat shmdt
  mq_open mq_unlink mq_getsetattr mq_notify mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
`);

/** Calls that are allowed to a container with any of the capabilities which the kernel asks for. */
export const capabilitySyscalls: readonly {
  readonly capabilities: readonly CapabilityName[];
  readonly names: readonly string[];
}[] = [
  {
    capabilities: ["SYS_ADMIN"],
    names: words(`
      mount umount umount2 mount_setattr move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick pivot_root
      setns clone3 fanotify_init quotactl quotactl_fd lookup_dcookie sethostname setdomainname
    `),
  },
  { capabilities: ["SYS_ADMIN", "BPF"], names: ["bpf"] },
  { capabilities: ["SYS_ADMIN", "PERFMON"], names: ["perf_event_open"] },
  { capabilities: ["SYS_ADMIN", "SYSLOG"], names: ["syslog"] },
  { capabilities: ["DAC_READ_SEARCH"], names: ["open_by_handle_at"] },
  { capabilities: ["SYS_BOOT"], names: ["reboot"] },
  { capabilities: ["SYS_CHROOT"], names: ["chroot"] },
  { capabilities: ["SYS_MODULE"], names: ["delete_module", "finit_module", "init_module"] },
  {
    capabilities: ["SYS_NICE"],
    names: words(
      "get_mempolicy set_mempolicy set_mempolicy_home_node mbind migrate_pages move_pages",
    ),
  },
  { capabilities: ["SYS_PACCT"], names: ["acct"] },
  { capabilities: ["SYS_PTRACE"], names: ["kcmp", "pidfd_getfd", "process_madvise"] },
  { capabilities: ["SYS_RAWIO"], names: ["ioperm", "iopl"] },
  {
    capabilities: ["SYS_TIME"],
    names: ["clock_settime", "clock_settime64", "settimeofday", "stime"],
  },
  { capabilities: ["SYS_TTY_CONFIG"], names: ["vhangup"] },
];

/**
 * Calls that no container gets: keys are not kept apart by namespaces, `userfaultfd` and `io_uring` have been the way to
 * many a hole in the kernel, and the rest is for the machine's owner, or long gone.
 */
export const deniedSyscalls: readonly string[] = words(`
  add_key keyctl request_key userfaultfd io_uring_setup io_uring_enter io_uring_register
  kexec_load kexec_file_load swapon swapoff nfsservctl
  _sysctl afs_syscall bdflush break create_module ftime get_kernel_syms getpmsg gtty idle lock mpx prof profil putpmsg
  query_module security sgetmask ssetmask stty sysfs tuxcall ulimit uselib ustat vm86 vm86old vserver
`);

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}
