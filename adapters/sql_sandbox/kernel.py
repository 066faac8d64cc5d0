"""What the kernel is asked to hold a sandbox to: memory, time, files; and, where it can, no way to open or to reach.

The filter is seccomp (Linux on x86-64 and aarch64); elsewhere the other walls stand alone.
"""

import ctypes
import os
import platform
import resource
import struct
from typing import Final

BASE: Final = 384 * 1024 * 1024
"""Bytes of data that Python, DuckDB and Arrow take before any query."""
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_PR_SET_DUMPABLE: Final = 4
_FILTER: Final = 2
_LOAD, _EQUAL, _AT_LEAST, _HAS_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _UNKNOWN, _KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
"""Allow; answer "not permitted"; answer "no such call"; end the process."""
_THREAD: Final = 0x00010000
_CLONE3: Final = 435
_X32: Final = 0x40000000

_CALLS: Final = {
    # open openat openat2 creat; socket connect accept bind listen socketpair; execve execveat fork vfork; ptrace
    # unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat mkdir mkdirat rmdir; mount umount2 chroot
    # kill tkill tgkill; process_vm_readv process_vm_writev; io_uring_setup; bpf; name_to_handle_at open_by_handle_at;
    # unshare setns; memfd_create; pidfd_open pidfd_getfd pidfd_send_signal; chmod chown fchmodat fchownat truncate
    "x86_64": (
        0xC000003E,
        (
            *(2, 257, 437, 85, 41, 42, 43, 288, 49, 50, 53, 59, 322, 57, 58, 101),
            *(87, 263, 82, 264, 316, 86, 265, 88, 266, 83, 258, 84, 165, 166, 161),
            *(62, 200, 310, 311, 425, 321, 303, 304, 272, 308, 319, 434, 438, 424, 90, 92, 268, 260, 76),
        ),
        56,
    ),
    "aarch64": (
        0xC00000B7,
        (
            *(56, 437, 198, 203, 202, 242, 200, 201, 199, 221, 281, 117),
            *(35, 38, 276, 37, 36, 34, 40, 39, 51),
            *(129, 130, 270, 271, 425, 280, 264, 265, 97, 268, 279, 434, 438, 424, 53, 54, 45),
        ),
        220,
    ),
}


def limit(memory: int, seconds: int, descriptors: int) -> None:
    """At most so many bytes of data beyond the base, seconds of computing, and open files; no file can be written."""
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_DATA, BASE + memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_NOFILE, descriptors),
    ):
        hard = resource.getrlimit(kind)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (least, least))


def close_in() -> bool:
    """From now on nothing can be opened, reached, started or signalled; False where the kernel has no such filter."""
    known = _CALLS.get(platform.machine())
    if known is None or os.uname().sysname != "Linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    program = _program(*known)
    buffer = ctypes.create_string_buffer(program, len(program))
    length = len(program) // 8
    pointer = ctypes.addressof(buffer)
    header = ctypes.create_string_buffer(struct.pack("@HP", length, pointer))
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    return not libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(header), 0, 0)


def _program(machine: int, calls: tuple[int, ...], clone: int) -> bytes:
    """A filter that refuses these calls, and ends a process which speaks another machine's.

    Threads may still be begun, processes not: clone says which it is; clone3 hides it, so it does not exist here.
    """
    steps: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, machine),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _REFUSE),
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _UNKNOWN),
    ]
    for call in calls:
        steps += [(_EQUAL, 0, 1, call), (_RETURN, 0, 0, _REFUSE)]
    steps += [
        (_EQUAL, 0, 3, clone),
        (_LOAD, 0, 0, 16),
        (_HAS_BIT, 1, 0, _THREAD),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *each) for each in steps)
