#!/bin/sh
# Tries the package on Debian's own kernel, in a machine that qemu emulates, over a reboot:
#
#     tests/package/emulated/run.sh target/debian/rex-broker_*.deb [SUITE]
#
# By hand, as root; it takes some minutes, mostly for the image. It needs mmdebstrap, e2fsprogs and qemu-system-x86, and no KVM.
# What is tried, guest.sh says. The exit code is 0 if all came out as it should.
set -eu
package=$1 suite=${2:-bookworm}
here=$(dirname "$(realpath "$0")")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# The cloud kernel has what this machine consists of built in, so it boots without an initial file system.
INITRD=No mmdebstrap --quiet --variant=minbase --format=directory \
    --include=systemd,systemd-sysv,dbus,procps,linux-image-cloud-amd64 \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$suite" "$folder/system"
cp "$folder"/system/boot/vmlinuz-* "$folder/kernel"
cp "$package" "$folder/system/root/rex-broker.deb"
cp "$here/guest.sh" "$folder/system/root/"
echo '/dev/nvme0n1 / ext4 rw 0 1' > "$folder/system/etc/fstab"
echo emulated > "$folder/system/etc/hostname"
: > "$folder/system/etc/machine-id"
cat > "$folder/system/root/trial" <<'TRIAL'
#!/bin/sh
exec > /dev/ttyS1 2>&1
if [ ! -e /root/was-here ]; then
    touch /root/was-here
    sh /root/guest.sh installed
    systemctl reboot
else
    sh /root/guest.sh rebooted
    systemctl poweroff
fi
TRIAL
chmod 755 "$folder/system/root/trial"
cat > "$folder/system/etc/systemd/system/trial.service" <<'UNIT'
[Unit]
After=basic.target dbus.service
[Service]
ExecStart=/root/trial
UNIT
mkdir -p "$folder/system/etc/systemd/system/multi-user.target.wants"
ln -s ../trial.service "$folder/system/etc/systemd/system/multi-user.target.wants/"
mke2fs -q -t ext4 -d "$folder/system" "$folder/disk" 2G
rm -rf "$folder/system"

for boot in first second; do
    echo "== $boot boot"
    timeout 900 qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 4096 -nodefaults -display none \
        -nic none -no-reboot -kernel "$folder/kernel" \
        -append 'root=/dev/nvme0n1 rootwait rw console=ttyS0 quiet panic=-1' \
        -drive "file=$folder/disk,if=none,id=disk,format=raw,cache=unsafe" -device nvme,drive=disk,serial=disk \
        -device virtio-rng-pci -serial "file:$folder/console" -serial "file:$folder/told" < /dev/null \
        || { tail -n 20 "$folder/console"; exit 1; }
    tr -d '\r' < "$folder/told" | tee "$folder/$boot"
    grep -qx 'all is as it should be' "$folder/$boot" || { tail -n 5 "$folder/console"; exit 1; }
done
