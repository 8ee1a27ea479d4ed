# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes: The start of container and processes, and their end."""

from __future__ import annotations

from ...._core.causes import Alternative, Signature

START = (
    Signature(
        "exec-format",
        "Image of another architecture",
        (r"exec format error", r"cannot execute binary file"),
        "The kernel cannot execute the image's program.",
        "",
        alternatives=(
            Alternative(
                "The image is made for another processor architecture.",
                "'docker image inspect --format {{.Architecture}} IMAGE' and 'uname -m' differ.",
                "choose the image for this host's architecture.",
            ),
            Alternative(
                "The entry point is a script without a first line (#!), or an empty or damaged file.",
                "they agree.",
                "correct the entry point (recipe: engine.entrypoint), or pull the image again.",
            ),
        ),
    ),
    Signature(
        "entrypoint-missing",
        "Command not in the image",
        (
            r"exec: \"(?P<name>[^\"]+)\": .*(?:not found|no such file)",
            r"exec: (?:line )?\d*:? ?(?P<name>[\w./-]+): not found",
            r"(?P<name>\b(?:vllm|python3?|bash|sh|serve)): (?:command )?not found$",
            r"can't open file '(?P<name>[^']+)'",
            r"No module named (?P<name>vllm[\w.]*)$",
            r"Error while finding module specification for '(?P<name>[\w.]+)'",
        ),
        "The image has no such command.",
        "Choose an image of vLLM, or the entry point that it has (recipe: engine.entrypoint, such as [vllm, serve]).",
        detail="It is {name}.",
        exit_codes=(126, 127),
    ),
    Signature(
        "mount-failed",
        "Folder that cannot be mounted",
        (
            r"bind source path does not exist: (?P<name>\S+)",
            r"error mounting \"(?P<name>(?!proc\"|sysfs\"|devpts\"|cgroup\""
            r"|mqueue\")[^\"]+)\".*(?P<why>not a directory|permission denied"
            r"|no such file or directory"
            r"|read-only file system|input/output error|operation not permitted)",
            r"invalid mount config|error mounting \"(?P<name>(?!proc\"|sysfs\"|devpts\"|cgroup\"|mqueue\")[^\"]+)\""
            r"|mounts denied",
            r"error while creating mount source path '(?P<name>[^']+)'",
        ),
        "Docker could not mount a folder into the container.",
        "See that it is there, is a folder where a folder is wanted, and that the engine may read it (network file"
        " systems with root_squash, snap's and rootless engines may not); then run the play again.",
        detail="It is {name}.",
    ),
    Signature(
        "docker-network",
        "Docker's rules of the firewall are gone",
        (r"iptables failed: .*(?:No chain/target/match by that name|Chain 'DOCKER\S*' does not exist)",),
        "Docker cannot publish the server's port: something has removed its rules from the firewall, mostly a reload"
        " of the firewall.",
        "Run 'systemctl restart docker', which writes them again, then the play.",
    ),
    Signature(
        "container-limits",
        "Limit that Docker may not set",
        (r"error setting rlimit type (?P<name>\d+)",),
        "Docker may not give the container a limit that its settings ask for: it runs without the rights, or the"
        " host's own limit is lower.",
        "Lower default-ulimits in Docker's daemon.json, or let the engine run as root with a higher limit.",
        detail="It is limit {name}, by the kernel's number.",
    ),
    Signature(
        "illegal-instruction",
        "Processor too old for the image",
        (
            r"(?<!an )[Ii]llegal instruction(?! was)|SIGILL",
            r"Failed core proc\(s\): \{'[^']+': -4\b",
            r"exit code: -4\b",
        ),
        "The image uses instructions that this processor does not have.",
        "Choose an image that is built for this processor.",
        exit_codes=(132,),
    ),
    Signature(
        "segfault",
        "Crash in native code",
        (
            r"[Ss]egmentation fault|SIGSEGV|Segfault encountered",
            r"Caught signal 8 \(Floating point exception",
            r"Failed core proc\(s\): \{'[^']+': -11\b",
            r"exit code: -11\b",
        ),
        "A process of the server crashed in native code.",
        "Search vLLM's issues for the newest lines of the log; try another version of the image. Where the lines name"
        " kernels, such as fused_moe or marlin, another moe-backend or attention-backend gets round them.",
        severity="hint",
        exit_codes=(139,),
    ),
    Signature(
        "aborted",
        "Aborted in native code",
        (r"Failed core proc\(s\): \{[^}]*'[^']+': -6\b", r"exit code: -6\b"),
        "A process of the server ended itself in native code (SIGABRT).",
        "The lines above have what it said last: 'terminate called', 'what():', 'Assertion', 'watchdog'. Search"
        " vLLM's issues for that, or try another version of the image.",
        severity="hint",
        exit_codes=(134,),
        alternatives=(
            Alternative(
                "NCCL's watchdog waited for another GPU in vain.",
                "the log has 'watchdog' or 'collective operation timeout'.",
                "see 'dmesg | grep -i xid', and the worker that says least.",
                decides=r"[Ww]atchdog (?:caught|thread)|collective operation timeout",
            ),
            Alternative(
                "A check inside a library failed, or memory of the process was damaged.",
                "the log has 'what():', 'Assertion', 'free()' or 'malloc()'.",
                "try another version of the image, without what was put on top of it (image.pip).",
            ),
        ),
    ),
    Signature(
        "bad-configuration",
        "Settings that contradict each other",
        (r"^\s+(?:Value error|Input should|Field required|Assertion failed)",),
        "vLLM refuses its settings.",
        "Correct the engine's arguments as the evidence says, in vllm_engine_args_extra or in the recipe.",
        severity="hint",
        within=r"validation errors? for \w+Config",
    ),
    Signature(
        "killed",
        "Killed",
        (
            r"Failed core proc\(s\): \{[^}]*'[^']+': -9\b",
            r"exit code: -9\b",
            r"^Killed$",
        ),
        "A process of the server was killed from outside.",
        "",
        severity="hint",
        exit_codes=(137,),
        alternatives=(
            Alternative(
                "The kernel did it for lack of memory, of the host or of the container's limit.",
                "'dmesg | grep -i -e oom -e killed', or 'docker inspect --format {{.State.OOMKilled}} CONTAINER'.",
                "take away or raise the limit, or end what else uses memory.",
                decides=r"oom-kill|Out of memory: Killed",
            ),
            Alternative(
                "The engine did it: a stop that took longer than its limit, or its own restart.",
                "'journalctl -u docker' names the container at that time.",
                "run the play again.",
            ),
            Alternative(
                "A person or another program did it.",
                "neither of them has a word of it.",
                "run the play again.",
            ),
        ),
    ),
    Signature(
        "worker-died",
        "A process of the server died",
        (
            r"Worker proc (?P<name>\S+) died unexpectedly",
            r"Engine core proc (?P<name>\S+) died unexpectedly",
            r"engine core exited unexpectedly",
            r"Got fatal signal from worker processes",
            r"Engine core initialization failed",
        ),
        "A process of the server died without a word.",
        "",
        detail="It is {name}.",
        severity="hint",
        alternatives=(
            Alternative(
                "The kernel killed it for lack of memory.",
                "'dmesg | grep -i -e oom -e killed' names it.",
                "take away the container's limit of memory, or end what else uses memory.",
                decides=r"oom-kill|Out of memory: Killed",
            ),
            Alternative(
                "It crashed in native code, or a GPU failed under it.",
                "'dmesg | grep -i -e segfault -e xid' names it.",
                "try another version of the image; for Xid see to the GPU.",
                decides=r"SIGSEGV|[Ss]egmentation fault|Segfault encountered|Caught signal \d",
            ),
            Alternative(
                "A person or a program ended it, or its own words are further up than the lines that were read.",
                "'docker logs CONTAINER 2>&1 | grep -n -m3 -e ERROR -e Traceback'.",
                "go by the first error there.",
            ),
        ),
    ),
    Signature(
        "engine-died",
        "Engine died while serving",
        (r"EngineDeadError|EngineCore encountered (?:an issue|a fatal error)",),
        "The engine died while it served. Its server then ends with exit code 0, which says nothing.",
        "See the log above that line; the play starts the server again.",
        severity="hint",
    ),
)

LAST = (
    Signature(
        "container-not-started",
        "Docker could not start the container",
        (
            r"OCI runtime create failed: (?P<what>.+)",
            r"failed to create (?:task|shim)",
            r"driver failed programming external connectivity",
        ),
        "Docker could not start the container.",
        "See the evidence; 'journalctl -u docker' has more.",
        severity="hint",
    ),
    Signature(
        "stopped",
        "Stopped",
        (),
        "The server has ended without an error: a person or a program told it to stop.",
        "Run the play again; it starts the server.",
        severity="hint",
        exit_codes=(0, 143),
    ),
)
