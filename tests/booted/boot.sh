#!/bin/bash
# Boots the systemd of this machine as PID 1 of namespaces of its own, over a throw-away copy of the root file system, runs
# one command in it as a unit, and ends with that command's exit status.
#
#   boot.sh --share DIR [--root DIR] [--journal FILE] [--limit SECONDS] -- COMMAND [ARG...]
#     --share DIR      is the same directory inside and outside; whatever else is written inside is thrown away
#     --root DIR       boots this tree instead of / (an mmdebstrap tree of another release, say)
#     --journal FILE   leaves the journal of the run there, as text
#     --limit SECONDS  ends everything then (default 300), with 124
#
# The network inside is a loopback of its own. The guest is root with all capabilities: this keeps tests from spoiling the
# machine, it locks nobody in. Ends with 77 and one line where a machine cannot do this, and with 125 if booting fails.
set -u

cannot() { echo "$*"; exit 77; }
broken() { echo "boot.sh: $*" >&2; exit 125; }

# ------------------------------------------------------------------ inside the namespaces, before systemd
if [ "${1:-}" = --inside ]; then
  set -e
  work=$2 root=$3 share=$4
  mount --make-rprivate /
  mount -t tmpfs -o mode=755 tmpfs "$work/layer"
  new=$work/layer/root
  mkdir -p "$work/layer/upper" "$work/layer/work" "$new"
  mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/layer/upper,workdir=$work/layer/work" "$new"
  mkdir -p "$new"/{proc,sys,dev,run,tmp,var/log/journal}

  # Kernel settings are the machine's: readable, not writable.
  mount -t proc -o nosuid,nodev,noexec proc "$new/proc"
  for path in sys sysrq-trigger; do
    [ ! -e "$new/proc/$path" ] || { mount --bind "$new/proc/$path" "$new/proc/$path"
      mount -o remount,bind,ro "$new/proc/$path"; }
  done
  mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$new/sys"
  mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$new/sys/fs/cgroup"

  mount -t tmpfs -o mode=755,nosuid tmpfs "$new/dev"
  mkdir "$new/dev/pts" "$new/dev/shm" "$new/dev/mqueue"
  mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$new/dev/pts"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$new/dev/shm"
  while read -r name major minor; do mknod -m 666 "$new/dev/$name" c "$major" "$minor"; done <<'DEVICES'
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
DEVICES
  ln -s pts/ptmx "$new/dev/ptmx"
  ln -s /proc/self/fd "$new/dev/fd"
  for n in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${n%:*}" "$new/dev/${n#*:}"; done

  mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$new/run"
  mkdir -p "$new/run/booted"
  mount --bind "$work/unit" "$new/run/booted"
  mount --bind "$work/journal" "$new/var/log/journal"
  mkdir -p "$new$share"
  mount --bind "$share" "$new$share"

  # Nothing of the machine's own services starts in here.
  units=$new/etc/systemd/system
  mkdir -p "$units"
  rm -rf "$units"/*.wants "$units"/*.requires
  for unit in getty.target console-getty.service systemd-timesyncd.service systemd-resolved.service \
      systemd-networkd.service systemd-udevd.service systemd-udev-trigger.service systemd-binfmt.service \
      systemd-modules-load.service systemd-remount-fs.service systemd-journald-audit.socket systemd-initctl.socket \
      apt-daily.timer apt-daily-upgrade.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service tmp.mount \
      dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
      sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount; do
    ln -sf /dev/null "$units/$unit"
  done
  : >"$new/etc/fstab"
  # It would empty /tmp at boot.
  mkdir -p "$new/etc/tmpfiles.d"
  ln -sf /dev/null "$new/etc/tmpfiles.d/tmp.conf"
  [ -s "$new/etc/machine-id" ] || echo 0123456789abcdef0123456789abcdef >"$new/etc/machine-id"
  mkdir -p "$new/etc/systemd/journald.conf.d"
  printf '[Journal]\nStorage=persistent\nAudit=no\nReadKMsg=no\nRateLimitIntervalSec=0\n' \
    >"$new/etc/systemd/journald.conf.d/booted.conf"
  cp "$work/unit/command.service" "$units/booted-command.service"
  printf '%s\n' '[Unit]' 'Description=a system to test in' 'Requires=multi-user.target' \
    'Wants=booted-command.service' 'After=multi-user.target' 'AllowIsolate=yes' >"$units/booted.target"

  cd "$new"
  mkdir -p .machine
  pivot_root . .machine
  umount -l /.machine
  rmdir /.machine 2>/dev/null || true
  mount --make-rshared / # credentials and sandboxes rely on mounts that propagate
  hostname booted
  init=/usr/lib/systemd/systemd
  [ -x "$init" ] || init=/lib/systemd/systemd
  exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    container=booted container_uuid=01234567-89ab-cdef-0123-456789abcdef TERM=dumb \
    "$init" --system --unit=booted.target --show-status=no --log-target=journal --log-level=notice
fi

# ------------------------------------------------------------------ on the machine
share='' root=/ journal='' limit=300
while [ $# -gt 0 ]; do
  case $1 in
    --share) share=$(readlink -f "$2"); shift 2 ;;
    --root) root=$(readlink -f "$2"); shift 2 ;;
    --journal) journal=$2; shift 2 ;;
    --limit) limit=$2; shift 2 ;;
    --) shift; break ;;
    *) broken "unknown option $1" ;;
  esac
done
[ $# -gt 0 ] && [ -d "$share" ] || broken "what is to run, and which directory is shared?"

[ "$(uname -s)" = Linux ] || cannot "there is no systemd on $(uname -s)"
[ "$(id -u)" = 0 ] || cannot "booting a systemd takes root"
[ -x "$root/usr/lib/systemd/systemd" ] || [ -x "$root/lib/systemd/systemd" ] || cannot "systemd is not installed"
[ -e "$root/usr/bin/dbus-daemon" ] || cannot "dbus is not installed"
for path in /usr /etc /var; do
  [ "$root" != / ] || ! mountpoint -q "$path" || cannot "$path is a file system of its own here"
done
unshare --mount --pid --fork --uts --ipc --cgroup --net true 2>/dev/null || cannot "namespaces cannot be made here"

work=$(mktemp -d /var/tmp/maestro-boot.XXXXXX) || broken "no directory in /var/tmp"
mkdir "$work/layer" "$work/unit" "$work/journal"
if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then tree=/sys/fs/cgroup
elif [ "$(stat -fc %T /sys/fs/cgroup/unified 2>/dev/null)" = cgroup2fs ]; then tree=/sys/fs/cgroup/unified
else rm -rf "$work"; cannot "there is no cgroup2 here"
fi
own=$(sed -n 's/^0:://p' /proc/self/cgroup)
own=${own%/}
for old in "$tree$own"/maestro-boot.*; do # of a run that was killed outright
  [ ! -d "$old" ] || [ -d "/proc/${old##*.}" ] || find "$old" -depth -type d -exec rmdir {} \; 2>/dev/null
done
group=$tree$own/maestro-boot.$$
mkdir "$group" 2>/dev/null || { rm -rf "$work"; cannot "the cgroup $tree$own may not be divided"; }

guest=''
clean() {
  [ -z "$guest" ] || { kill -KILL "$guest"; wait "$guest"; } 2>/dev/null
  [ ! -e "$group/cgroup.kill" ] || echo 1 >"$group/cgroup.kill" 2>/dev/null
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
    [ -d "$group" ] || break
    sleep 0.1
  done
  rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

{
  echo '#!/bin/bash'
  echo ': >/run/booted/started; systemctl is-system-running --wait >/dev/null'
  printf '%q ' "$@"; echo
  echo 'status=$?; echo $status >/run/booted/status; exit $status'
} >"$work/unit/command"
chmod 755 "$work/unit/command"
cat >"$work/unit/command.service" <<'UNIT'
[Unit]
Description=the command under test
After=multi-user.target dbus.service systemd-logind.service
Wants=dbus.service
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=exec
Environment=HOME=/root USER=root LOGNAME=root LANG=C.UTF-8
ExecStart=/run/booted/command
StandardOutput=append:/run/booted/output
StandardError=append:/run/booted/output
KillMode=mixed
UNIT
: >"$work/unit/output"
: >"$work/boot.log"

# Whatever happens to us, the guest goes with us.
bash -c 'echo $$ >"$1/cgroup.procs" || exit 125; shift; exec "$@"' _ "$group" \
  setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child=KILL --uts --ipc --cgroup --net \
  bash "$(readlink -f "$0")" --inside "$work" "$root" "$share" </dev/null >>"$work/boot.log" 2>&1 &
guest=$!
tail -n +1 -f --pid="$guest" -s 0.1 "$work/unit/output" &
relay=$!

end=$((SECONDS + limit)) late=''
while kill -0 "$guest" 2>/dev/null; do
  if [ $SECONDS -ge $end ]; then late=1; kill -KILL "$guest" 2>/dev/null; break; fi
  sleep 0.05
done
wait "$guest" 2>/dev/null
guest=''
wait "$relay" 2>/dev/null

told() { cat "$work/boot.log"; journalctl -D "$work/journal" --no-pager -q -o short-monotonic 2>/dev/null; }
[ -z "$journal" ] || told >"$journal"
[ -z "$late" ] || { echo "boot.sh: not done after $limit s" >&2; exit 124; }
[ ! -s "$work/unit/status" ] || exit "$(cat "$work/unit/status")"
echo "boot.sh: the command did not come to its end; the last that was heard:" >&2
told | tail -n 60 >&2
exit 125
