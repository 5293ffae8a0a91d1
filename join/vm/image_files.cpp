#include "join/vm/image_files.h"

namespace lab::join::vm {

namespace {

// The drivers that such a machine has, and no others: an initramfs of all of Debian's takes an emulated processor long
// to unpack.
constexpr const char* kInitramfsModules = "MODULES=list\n";
constexpr const char* kInitramfsHook = R"(#!/bin/sh
[ "$1" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules virtio_pci virtio_blk ext4
)";

constexpr const char* kNetwork = R"([Match]
Name=en* eth*
[Network]
DHCP=ipv4
[DHCPv4]
ClientIdentifier=mac
)";

// Reads the seed at every boot: the same facts change nothing. With cloud-init in the image, that does it.
constexpr const char* kFirstBoot = R"(#!/bin/sh
# The facts of this machine, from the disk labelled "cidata": its name, its SSH host key, and who may log in as root.
set -e
seed=/run/lab-seed
mkdir -p -m 700 "$seed"
mount -t iso9660 -o ro,nosuid,nodev,noexec /dev/disk/by-label/cidata "$seed"
trap 'umount "$seed"; rmdir "$seed"' EXIT
name=$(cat "$seed/hostname")
echo "$name" >/etc/hostname
echo "$name" >/proc/sys/kernel/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >/etc/hosts
install -m 600 "$seed/ssh_host_ed25519_key" /etc/ssh/ssh_host_ed25519_key
install -m 644 "$seed/ssh_host_ed25519_key.pub" /etc/ssh/ssh_host_ed25519_key.pub
mkdir -p -m 700 /root/.ssh
install -m 600 "$seed/authorized_keys" /root/.ssh/authorized_keys
)";
constexpr const char* kFirstBootUnit = R"([Unit]
Description=Name and keys of this machine, from its seed
ConditionPathExists=!/usr/bin/cloud-init
DefaultDependencies=no
Requires=dev-disk-by\x2dlabel-cidata.device
After=dev-disk-by\x2dlabel-cidata.device local-fs.target systemd-remount-fs.service
Before=systemd-networkd.service network-pre.target ssh.service sysinit.target
Wants=network-pre.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/lib/lab/first-boot
[Install]
WantedBy=sysinit.target
)";
// By the agent's connection the host knows that the machine takes logins.
constexpr const char* kAgentAfterSsh = "[Unit]\nAfter=ssh.service\n";

}  // namespace

std::vector<std::string> image_packages(const std::string& architecture) {
  return {"systemd-sysv",
          "udev",
          "dbus",
          "kmod",
          "linux-image-cloud-" + architecture,
          "openssh-server",
          "qemu-guest-agent",
          "containerd",
          "runc",
          "iproute2",
          "nftables",
          "iptables",
          "procps",
          "e2fsprogs",
          "mount",
          "ca-certificates"};
}

std::vector<ImageFile> files_before_packages() {
  return {{.path = "/etc/initramfs-tools/conf.d/lab", .content = kInitramfsModules},
          {.path = "/etc/initramfs-tools/hooks/lab", .content = kInitramfsHook, .mode = 0755}};
}

std::vector<ImageFile> files_after_packages() {
  return {{.path = "/etc/hostname", .content = "machine\n"},
          {.path = "/etc/hosts", .content = "127.0.0.1 localhost\n"},
          {.path = "/etc/fstab", .content = "/dev/vda / ext4 defaults,discard 0 1\n"},
          {.path = "/etc/machine-id", .content = ""},  // each machine makes its own
          {.path = "/etc/systemd/network/20-machine.network", .content = kNetwork},
          {.path = "/usr/local/lib/lab/first-boot", .content = kFirstBoot, .mode = 0755},
          {.path = "/etc/systemd/system/lab-first-boot.service", .content = kFirstBootUnit},
          {.path = "/etc/systemd/system/qemu-guest-agent.service.d/lab.conf", .content = kAgentAfterSsh}};
}

std::vector<std::string> units_of_image() {
  return {"systemd-networkd.service", "lab-first-boot.service"};
}

}  // namespace lab::join::vm
