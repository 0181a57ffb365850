//! The memory of this process, as Linux tells it. Elsewhere nothing is known and everything is zero.

use std::fs::{File, OpenOptions};
use std::io::Write;

/// Files of the process that are opened before it is confined.
#[derive(Debug)]
pub(super) struct Memory {
    clear: Option<File>,
    status: Option<File>,
}

impl Memory {
    pub(super) fn open() -> Self {
        let clear = OpenOptions::new().write(true).open("/proc/self/clear_refs");
        Self {
            clear: clear.ok(),
            status: File::open("/proc/self/status").ok(),
        }
    }

    /// The peak counts from now on.
    pub(super) fn reset_peak(&self) {
        /// Of proc_pid_clear_refs(5).
        const PEAK: &[u8] = b"5";
        if let Some(mut clear) = self.clear.as_ref() {
            // Without it the peak is that of the process, which is no less.
            let _ = clear.write_all(PEAK);
        }
    }

    /// As it is now.
    pub(super) fn usage(&self) -> Usage {
        let mut text = [0; 4096];
        let read = self
            .status
            .as_ref()
            .and_then(|status| rustix::io::pread(status, &mut text, 0).ok());
        let text = String::from_utf8_lossy(&text[..read.unwrap_or(0)]);
        let bytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let kib =
                line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
            kib.unwrap_or(0) * 1024
        };
        Usage {
            peak_bytes: bytes("VmHWM:"),
            mapped_bytes: bytes("VmSize:"),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    /// The most memory the process had since the last reset.
    pub(super) peak_bytes: u64,
    /// The address space the process uses.
    pub(super) mapped_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_peak_is_seen_and_forgotten() {
        let memory = Memory::open();
        // Other tests of this process may have had more before.
        memory.reset_peak();
        let usage = memory.usage();
        let before = usage.peak_bytes;
        assert!(before > 0 && usage.mapped_bytes >= before);
        let large = vec![1_u8; 64 << 20];
        assert!(memory.usage().peak_bytes >= before + (60 << 20), "{before}");
        drop(std::hint::black_box(large));
        memory.reset_peak();
        assert!(memory.usage().peak_bytes < before + (60 << 20));
    }
}
