"""What NVIDIA's kernel driver reports of errors meanwhile: its Xid lines in the kernel's log."""
import os


class KernelLog:
    """From now on. Where the log cannot be read (it takes root, or kernel.dmesg_restrict=0) new() is always None."""

    def __init__(self, path='/dev/kmsg'):
        try:
            self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            os.lseek(self.fd, 0, os.SEEK_END)
        except OSError:
            self.fd = None

    def new(self):
        """The Xid lines since the last call."""
        if self.fd is None:
            return None
        found = []
        while True:
            try:
                record = os.read(self.fd, 8192)
            except BlockingIOError:
                return found
            except BrokenPipeError:  # records were overwritten before they were read
                continue
            except OSError:
                return found
            if not record:
                return found
            text = record.decode(errors='replace').partition(';')[2].split('\n')[0]
            if 'NVRM: Xid' in text:
                found.append(text)
