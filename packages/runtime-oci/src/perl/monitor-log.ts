/**
 * Part of the monitor: the log file, in the form that the kubelet reads: `TIME STREAM TAG TEXT`, the tag `P` for a part of
 * a line and `F` for its end.
 *
 * @see https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
 */
export const monitorLog: string = String.raw`
my ($log, $log_size, %rest) = (undef, 0);
my $max_part = 16_384;

sub open_log { my ($path) = @_;
  sysopen(my $file, $path, $n{logFlags}, 0640) or return 0;
  if (!-f $file) { $! = 22; return 0; }
  ($log, $log_size) = ($file, -s _);
  return 1; }
sub rotate_log {
  my $path = $setting{log};
  my $kept = $setting{oldLogs};
  if ($kept < 1) { unlink $path; }
  else {
    for (my $i = $kept - 1; $i >= 1; $i--) { rename "$path.$i", "$path." . ($i + 1); }
    rename $path, "$path.1"; }
  # On a disk without room the old file goes on being written.
  open_log($path); }
sub append_log { my ($text) = @_;
  my $done = 0;
  while ($done < length $text) {
    my $written = syswrite($log, $text, length($text) - $done, $done);
    if (!defined $written) {
      next if $! == $n{EINTR};
      # No room: what does not fit is lost, but no half line stays for the next one to be glued to.
      truncate($log, $log_size); return; }
    $done += $written; }
  $log_size += $done; }
sub put_log { my ($text) = @_;
  my $limit = $setting{logBytes};
  while ($limit && $log_size + length $text > $limit) {
    my $room = $limit - $log_size;
    my $end = $room > 0 ? rindex($text, "\n", $room - 1) + 1 : 0;
    # One entry is written whole, however small the limit.
    $end = index($text, "\n") + 1 if !$end && !$log_size;
    append_log(substr($text, 0, $end, "")) if $end;
    last unless length $text;
    rotate_log(); }
  append_log($text) if length $text; }
my ($stamp_second, $stamp_text) = (-1, "");
sub stamp { my ($second, $nano) = now();
  if ($second != $stamp_second) {
    my @t = gmtime $second;
    $stamp_second = $second;
    $stamp_text = sprintf("%04d-%02d-%02dT%02d:%02d:%02d", $t[5] + 1900, $t[4] + 1, @t[3, 2, 1, 0]); }
  return sprintf("%s.%09dZ", $stamp_text, $nano); }
sub log_output { my ($stream, $data) = @_;
  return unless $log;
  my $head = stamp() . " $stream ";
  my $text = ($rest{$stream} // "") . $data;
  my $end = rindex($text, "\n") + 1;
  my $tail = substr($text, $end);
  substr($text, $end) = "";
  my $entries = "";
  if (length $text) {
    if ($text =~ /^[^\n]{$max_part}[^\n]/m) {
      for my $line (split /\n/, $text, -1) { $entries .= parts($head, \$line) . "${"$"}{head}F $line\n"; }
      # split sees one more, empty line after the last line end.
      substr($entries, -(length($head) + 3)) = ""; }
    else { chop $text; $text =~ s/\n/\n${"$"}{head}F /g; $entries = "${"$"}{head}F $text\n"; } }
  $entries .= parts($head, \$tail);
  $rest{$stream} = $tail;
  put_log($entries) if length $entries; }
sub parts { my ($head, $line) = @_;
  my $parts = "";
  $parts .= $head . "P " . substr($$line, 0, $max_part, "") . "\n" while length $$line > $max_part;
  return $parts; }
sub log_end { my ($stream) = @_;
  my $text = delete $rest{$stream};
  put_log(stamp() . " $stream P $text\n") if $log && defined $text && length $text; }
`;
