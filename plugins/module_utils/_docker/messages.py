# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Docker, containerd, runc and registries say when a container cannot be started, the specific first.

No fix is the role that installs the engine: that one runs into the same. The texts are of moby, containerd and runc,
as users report them.
"""

from __future__ import annotations

from .._core.causes import Alternative, Signature

_LIMITED_HOST = (
    "'systemd-detect-virt --container' names lxc, docker or another container, 'docker info' says rootless, or 'uname"
    " -r' is a kernel of the provider's own."
)

ENGINE: tuple[Signature, ...] = (
    Signature(
        "engine-not-running",
        "Docker's engine does not answer",
        (
            r"Cannot connect to the Docker daemon at (?P<what>\S+?)\.? ",
            r"dial unix (?P<what>\S*docker\.sock): connect: (?:connection refused|no such file)",
            r"failed to start daemon: (?P<what>.+)",
            r"(?P<what>unable to configure the Docker daemon with file .+)",
        ),
        "Docker's engine does not run, or not where its command looks for it.",
        "See 'systemctl status docker' and 'journalctl -u docker -n 50' for why it has ended: mostly a daemon.json"
        " that it does not accept ('dockerd --validate'), a full disk, or a containerd that does not run. DOCKER_HOST"
        " and 'docker context ls' show where the command looks.",
        detail="It says: {what}.",
    ),
    Signature(
        "engine-permission",
        "Docker's socket refused",
        (r"permission denied while trying to connect to the (?:Docker daemon|docker API)",),
        "This user may not talk to Docker's engine.",
        "Run the play with become: true, or add the user to the group docker and sign in again.",
    ),
    Signature(
        "engine-versions",
        "Versions of Docker that do not go together",
        (
            r"client version (?P<what>[\d.]+) is too (?:old|new)",
            r"(?P<what>Minimum supported API version is [\d.]+|Maximum supported API version is [\d.]+)",
        ),
        "Docker's command and its engine, or another program that talks to it, have versions that do not go together.",
        "Update the older of the two ('docker version' shows both). A program that cannot be updated is admitted by"
        " DOCKER_MIN_API_VERSION in the unit of the engine.",
        detail="It is {what}.",
    ),
    Signature(
        "image-pull-refused",
        "Image that the registry does not give",
        (r"invalid reference format(?:: (?P<what>[^\"]+))?",),
        "The name of the image is not valid.",
        "Correct image.name, image.tag and image.digest of the recipe: lower case, REGISTRY/NAME:TAG, without blanks.",
        detail="It says: {what}.",
    ),
    Signature(
        "image-pull-refused",
        "Image that the registry does not give",
        (r"(?P<what>toomanyrequests: [^\"]*|You have reached your (?:un\w+ )?pull rate limit)",),
        "The registry has had too many requests of this address.",
        "Wait as long as it says, sign in ('docker login'), or use a mirror (registry-mirrors in daemon.json).",
        detail="It says: {what}.",
    ),
    Signature(
        "image-pull-refused",
        "Image that the registry does not give",
        (
            r"manifest(?: for (?P<name>\S+))?.{0,80}(?:not found|unknown)",
            r"no matching manifest for (?P<name>\S+)",
            r"pull access denied for (?P<name>[^\s,]+)",
            r"failed to resolve reference \\?\"(?P<name>[^\"\\]+)\\?\": \S+: not found",
            r"repository (?P<name>\S+) not found",
            r"No such image: (?P<name>\S+)",
        ),
        "The image is not there under that name.",
        "",
        detail="It is {name}.",
        alternatives=(
            Alternative(
                "Name or tag is wrong, or the tag was deleted, as those of nightly images are.",
                "the registry's page does not list it.",
                "correct image.name and image.tag of the recipe, or pin a digest that exists.",
            ),
            Alternative(
                "The repository is private.",
                "'docker login' of that registry was not done as the user that pulls.",
                "sign in, and pull again.",
                decides=r"requested access to the resource is denied|authentication required"
                r"|may require 'docker login'",
            ),
            Alternative(
                "There is no image for this processor.",
                "'docker manifest inspect IMAGE' does not list 'uname -m'.",
                "choose another tag.",
                decides=r"no matching manifest for",
            ),
        ),
    ),
    Signature(
        "image-pull-refused",
        "Image that the registry does not give",
        (
            r"(?:unexpected status|HEAD request|GET request|registry|/v2/).*(?P<what>40[13] (?:Forbidden"
            r"|Unauthorized))",
            r"(?P<what>unauthorized: (?!access to)[^\"]+)|(?<!ermission )(?P<who>denied: [^\"]+)",
        ),
        "A registry refuses the request for an image.",
        "",
        alternatives=(
            Alternative(
                "The engine is not signed in there, or with a user who may not read the image.",
                "'docker login REGISTRY' as that user, then 'docker pull IMAGE'.",
                "sign in; nvcr.io wants the user $oauthtoken and an API key.",
                decides=r"unauthorized|401",
            ),
            Alternative(
                "A proxy, a firewall or the registry's CDN refuses.",
                "'curl -I https://REGISTRY/v2/' from the host does not answer as a registry does (header"
                " docker-distribution-api-version).",
                "admit the registry and its CDN, or set the engine's proxy ('systemctl edit docker').",
            ),
        ),
    ),
    Signature(
        "image-pull-network",
        "Registry out of reach",
        (
            r"(?P<what>(?:dial tcp|lookup) \S+.*(?:no such host|i/o timeout|connection refused|network is unreachable"
            r"|server misbehaving))",
            r"(?P<what>(?:TLS handshake timeout|net/http: request canceled|context deadline exceeded \(Client)[^\"]*)",
            r"(?P<what>unexpected EOF|httpReadSeeker: failed open)",
        ),
        "The engine does not reach the registry, or the connection broke off.",
        "See 'curl -I https://REGISTRY/v2/' on the host, its name servers, and the engine's proxy ('systemctl show"
        " docker -p Environment'); then run the play again: layers that are there stay.",
        detail="It says: {what}.",
    ),
    Signature(
        "image-damaged",
        "Damaged image in the engine's store",
        (
            r"failed to register layer: (?P<what>.*)",
            r"(?P<what>failed to extract layer.*|failed commit on ref.*|unexpected commit digest.*"
            r"|content digest \S+: not found|layer does not exist|failed to get layer|wrong diff id.*|"
            r"filesystem layer verification failed.*)",
            r"(?P<what>parent snapshot \S+ does not exist|snapshot \S+ (?:does not exist|already exists))",
        ),
        "The engine cannot unpack the image, or has lost a part of it.",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "The disk with the engine's data is full.",
                "'df -h' and 'df -i' of /var/lib/docker and /var/lib/containerd.",
                "make room ('docker system df', 'docker image prune'), or move data-root in daemon.json.",
                decides=r"[Nn]o space left on device",
            ),
            Alternative(
                "Its store is damaged, as after a power cut, or after somebody removed folders of it.",
                "the same image fails again, others do not.",
                "remove it ('docker rmi --force IMAGE') and pull it anew.",
            ),
            Alternative(
                "The file system below cannot do what the storage driver wants.",
                "'docker info' names another storage driver than overlay2 or overlayfs, or data-root is on a network"
                " or FUSE file system.",
                "move data-root in daemon.json to a local ext4 or xfs.",
                decides=r"operation not supported|lsetxattr|invalid cross-device link|ftype=0",
            ),
        ),
    ),
    Signature(
        "storage-mount",
        "Layers that cannot be mounted",
        (
            r"(?P<what>error creating overlay mount[^\"]*|failed to mount \S*overlay[^\"]*"
            r"|failed to mount rootfs[^\"]*"
            r"|error while mounting[^\"]*overlay[^\"]*)",
        ),
        "The engine cannot mount the layers of the image over each other (overlay).",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "Its data lies on a file system that overlay does not take, such as another overlay, NFS or FUSE.",
                "'findmnt -T /var/lib/docker' does not name ext4 or xfs.",
                "move data-root in daemon.json to a local ext4 or xfs.",
                decides=r"invalid argument|wrong fs type|not supported as upperdir",
            ),
            Alternative(
                "The kernel lacks overlay, as after an upgrade without a reboot.",
                "'modprobe overlay' fails.",
                "reboot into the kernel whose modules are installed.",
                decides=r"no such device|unknown filesystem type",
            ),
            Alternative(
                "A layer is missing or locked.",
                "another image starts; 'mount | grep overlay' names the folder.",
                "restart the engine; if it comes again, remove the image and pull it anew.",
            ),
        ),
    ),
    Signature(
        "containerd-gone",
        "containerd does not work",
        (
            r"(?P<what>containerd\.sock[^\"]*(?:connection refused|no such file|timeout|context deadline exceeded))",
            r"(?P<what>failed to start containerd[^\"]*|timeout waiting for containerd to start)",
            r"(?P<what>failed to create (?:shim )?task: context deadline exceeded)",
            r"(?P<what>ttrpc: closed|failed to start shim[^\"]*|shim disconnected|transport is closing"
            r"|error reading from server: EOF)",
            r"(?P<what>runtime \\?\"?io\.containerd\.\S+ binary not installed[^\"]*|unsupported protocol: \S+)",
        ),
        "containerd, which starts containers for Docker, or its shim does not answer.",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "It has ended, or hangs.",
                "'systemctl status containerd' and 'journalctl -u containerd -n 50'.",
                "restart containerd, then docker.",
                decides=r"containerd\.sock.*(?:refused|no such file)|failed to start containerd",
            ),
            Alternative(
                "containerd, its shim and runc are of different packages or versions.",
                "'docker version' lists them; 'which -a containerd-shim-runc-v2 runc' shows more than one.",
                "keep the set of one repository (containerd.io with docker-ce) and remove the other.",
                decides=r"binary not installed|unsupported protocol",
            ),
            Alternative(
                "The shim was killed, or has no memory, processes or disk.",
                "'dmesg | grep -i -e oom -e killed'; 'df -h /run'.",
                "make room, and start it again.",
            ),
        ),
    ),
    Signature(
        "cgroup-device-filter",
        "Device filter of the cgroup refused",
        (
            r"(?P<what>(?:error )?setting cgroup config for procHooks process[^\"]*)",
            r"(?P<what>bpf_prog_query\(BPF_CGROUP_DEVICE\) failed[^\"]*)",
            r"(?P<what>(?:failed to call )?BPF_PROG_(?:ATTACH|LOAD|DETACH)[^\"]*|can't load program: [^\"]*)",
            r"(?P<what>resulting devices cgroup doesn't match target mode)",
        ),
        "runc may not, or cannot, set which devices a container may open (the device filter of its cgroup).",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "The host is a container itself, or rootless, and may load no BPF program.",
                _LIMITED_HOST,
                "run it on the machine itself, or allow it in the outer container (LXC: lxc.cgroup2.devices.allow ="
                " a, lxc.apparmor.profile = unconfined; nesting).",
                decides=r"operation not permitted|permission denied",
            ),
            Alternative(
                "The kernel lacks CONFIG_CGROUP_BPF, or is too old for runc.",
                "'grep CGROUP_BPF /boot/config-$(uname -r)' does not say y.",
                "boot the distribution's kernel.",
                decides=r"invalid argument|function not implemented|not supported",
            ),
            Alternative(
                "Too many filters are attached to this cgroup, by updates of the container or of systemd.",
                "'bpftool cgroup list' of the container's cgroup lists 64.",
                "start the container anew, and update runc.",
                decides=r"argument list too long",
            ),
        ),
    ),
    Signature(
        "cgroup-setup",
        "Cgroup that cannot be set up",
        (
            r"(?P<what>(?:unable to apply|applying) cgroup configuration[^\"]*)",
            r"(?P<what>error creating systemd unit[^\"]*|unable to start unit [^\"]*)",
            r"(?P<what>cgroups?: cgroup mountpoint does not exist|cannot enter cgroupv2[^\"]*"
            r"|cgroup subsystem \S+ not found|Devices cgroup isn't mounted|namespace \{\\?\"cgroup\\?\"[^\"]*)",
            r"(?P<what>failed to write \S*cgroup\S*: [^\"]*|openat2 /sys/fs/cgroup\S*: [^\"]*)",
        ),
        "runc cannot set up the container's cgroup.",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "The engine uses systemd as its cgroup driver, and systemd does not answer or does not run.",
                "'docker info --format {{.CgroupDriver}}' says systemd, and 'systemctl is-system-running' fails.",
                'set "exec-opts": ["native.cgroupdriver=cgroupfs"] in daemon.json, or see to systemd (dbus).',
                decides=r"systemd unit|start unit|dbus",
            ),
            Alternative(
                "The cgroups of the host are not mounted, or of a version that this runc does not know.",
                "'stat -fc %T /sys/fs/cgroup' does not say cgroup2fs.",
                "boot without systemd.unified_cgroup_hierarchy=0, or update the engine.",
                decides=r"mountpoint does not exist|isn't mounted|subsystem \S+ not found|namespace .*does not exist",
            ),
            Alternative(
                "The kernel has no room for more cgroups: those of containers that have ended were left over.",
                "'grep memory /proc/cgroups' shows tens of thousands.",
                "reboot the host; a newer kernel and cgroup v2 do not leave them over.",
                decides=r"[Nn]o space left on device",
            ),
            Alternative(
                "The host is a container itself and may not write there.",
                _LIMITED_HOST,
                "run it on the machine itself, or with a cgroup of its own (--cgroupns host, nesting).",
                decides=r"read-only file system|permission denied|operation not permitted",
            ),
            Alternative(
                "A limit of the settings is not possible here.",
                "the message names a value.",
                "correct it.",
            ),
        ),
    ),
    Signature(
        "nested-container",
        "Container inside a container",
        (r"(?P<what>error mounting \\?\"(?:proc|sysfs|devpts|cgroup|mqueue)\\?\" to rootfs.*)",),
        "runc may not mount the kernel's own file systems, as in a container that itself runs in a container.",
        "Run it on the machine itself, or give the outer container the rights (privileged; LXC: nesting, and a profile"
        " that allows these mounts). " + _LIMITED_HOST,
        detail="It says: {what}.",
    ),
    Signature(
        "device-missing",
        "Device that the host does not have",
        (r"adding custom device \\?\"(?P<name>/[^\"\\]+)\\?\": (?:lstat \S+: )?no such file",),
        "The container is to have a device that the host does not have.",
        "Load the module that makes the device ('nvidia-modprobe -u -c=0' for those of NVIDIA), or take it out of the"
        " container's settings.",
        detail="It is {name}.",
    ),
    Signature(
        "container-security",
        "Start forbidden by the kernel's security",
        (
            r"(?P<what>(?:unable to apply apparmor profile|apparmor failed to apply profile)[^\"]*)",
            r"(?P<what>AppArmor enabled on system but the docker-default profile could not be loaded[^\"]*)",
            r"(?P<what>open sysctl \S+ file: [^\"]*|reopen fd \d+: permission denied)",
            r"(?P<what>error (?:loading|adding) seccomp[^\"]*|seccomp: [^\"]*not supported"
            r"|unable to init seccomp[^\"]*)",
            r"(?P<what>failed to set (?:label|file label|/proc/self/attr)[^\"]*)",
        ),
        "AppArmor, SELinux or seccomp of the host keeps runc from starting the container.",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "The host is a container (LXC) whose AppArmor profile is older than this runc, as since runc 1.2.8"
                " and 1.3.3.",
                _LIMITED_HOST + " 'dmesg | grep apparmor' shows DENIED.",
                "update LXC and its profile on the outer host, or hold runc at the version before.",
                decides=r"open sysctl|reopen fd",
            ),
            Alternative(
                "The profile cannot be loaded: apparmor_parser is missing, or AppArmor is half installed.",
                "'apparmor_status' fails.",
                "install the package apparmor, and restart the engine.",
                decides=r"apparmor",
            ),
            Alternative(
                "SELinux forbids it.",
                "'ausearch -m avc -ts recent' shows it.",
                "install container-selinux, or label the folder (:z).",
                decides=r"label",
            ),
            Alternative(
                "libseccomp is older than the profile.",
                "'runc --version' shows it.",
                "update the engine's packages.",
            ),
        ),
    ),
    Signature(
        "container-init",
        "First process of the container that fails",
        (
            r"exec: \\?\"(?P<name>[^\"\\]+)\\?\": (?:\S+: )?(?P<what>permission denied)",
            r"exec (?P<name>\S+): (?P<what>permission denied)",
        ),
        "The image's program may not be executed.",
        "Set its mode to executable in the image, correct the entry point (recipe: engine.entrypoint); see that no"
        " mount with noexec covers it.",
        detail="It is {name}.",
    ),
    Signature(
        "container-init",
        "First process of the container that fails",
        (
            r"(?P<what>can't get final child's PID from pipe: EOF|procReady not received"
            r"|(?:error )?waiting for init preliminary setup[^\"]*|read init-p: connection reset by peer"
            r"|container init exited prematurely|nsexec\S*: [^\"]*|(?:failed to )?unshare\b[^\"]*)",
        ),
        "The container's first process ended before runc had set it up.",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "It was killed for lack of memory: the container's limit is too small even for that.",
                "'dmesg | grep -i oom' at that time.",
                "raise the limit.",
            ),
            Alternative(
                "The host allows no more namespaces, processes or open files.",
                "'sysctl user.max_user_namespaces kernel.pid_max fs.file-nr'.",
                "raise what is used up.",
                decides=r"[Nn]o space left on device|Resource temporarily unavailable|unshare",
            ),
            Alternative(
                "Kernel and runc do not go together, as on very old kernels.",
                "'docker run --rm hello-world' fails in the same way.",
                "update kernel and runc.",
            ),
        ),
    ),
    Signature(
        "name-in-use",
        "Name of the container in use",
        (r"The container name \\?\"/?(?P<name>[^\"\\]+)\\?\" is already in use",),
        "Another container has that name.",
        "See 'docker ps --all' for what it is; remove it, or set another vllm_container_name.",
        detail="It is {name}.",
    ),
    Signature(
        "docker-network-setup",
        "Docker's network cannot be set up",
        (
            r"(?P<what>could not find an available, non-overlapping IPv4 address pool)",
            r"(?P<what>network \S+ not found)",
            r"(?P<what>failed to (?:create|add) (?:endpoint|the host|interface)[^\"]*)",
            r"(?P<what>Pool overlaps with other one[^\"]*)",
            r"(?P<what>iptables(?: \S+)*: can't initialize iptables table[^\"]*|failed to create NAT chain[^\"]*"
            r"|ip6?tables: No chain[^\"]*|xtables lock[^\"]*)",
        ),
        "Docker could not set up the network of the container.",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "Its rules or its bridge are gone, as after a reload of the firewall.",
                "'iptables -L DOCKER' or 'ip link show docker0' fails.",
                "run 'systemctl restart docker'.",
            ),
            Alternative(
                "The kernel lacks a module for it, as after an upgrade without a reboot.",
                "'modprobe -a br_netfilter veth iptable_nat' fails.",
                "reboot into the kernel whose modules are installed.",
                decides=r"can't initialize iptables|operation not supported|unknown device type",
            ),
            Alternative(
                "Its address ranges are used up or taken by the host's networks.",
                "'docker network ls' is long, or 'ip route' overlaps 172.16.0.0/12.",
                "remove networks that are not used ('docker network prune'), or set default-address-pools in"
                " daemon.json.",
                decides=r"address pool|overlaps",
            ),
        ),
    ),
)
