#!/bin/sh
# leash.sh GRACE_SECONDS COMMAND...
# Runs a command that ends when the owner does. The owner holds the other end of descriptor 3: however the owner ends,
# kill -9 included, the kernel closes it, and the command gets SIGTERM, then SIGKILL. Descriptor 4 receives the command's pid.
# To be started as the leader of a process group of its own, so that a Ctrl-C in a terminal reaches only the owner.
grace=$1
shift
"$@" 3<&- 4>&- </dev/null &
child=$!
echo "$child" >&4
exec 4>&-

# A process of its own, so that it does its work even when this shell is killed.
{
  cat <&3 >/dev/null
  kill -TERM "$child"
  sleep "$grace"
  kill -KILL "$child"
} 2>/dev/null &
exec 3<&-

trap 'kill -TERM "$child" 2>/dev/null' TERM INT HUP
# A trapped signal interrupts wait: ask again until the command is really gone.
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || break
done
trap '' TERM
kill -TERM 0
exit "$code"
