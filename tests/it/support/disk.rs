//! A small file system that a test may fill and freeze. It requires root and permission to mount.

use super::{Folder, postgres::setting};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A mounted file system, or a plain folder if mounting is not possible.
pub struct Disk {
    folder: Folder,
    image: Option<PathBuf>,
    is_mounted: bool,
}

impl Disk {
    /// Mounts an ext4 file system of this size, backed by a file. Files on it can be made immutable.
    pub fn ext4(megabytes: u64) -> Self {
        let folder = Folder::new();
        let image = folder.0.with_extension("image");
        File::create(&image).unwrap().set_len(megabytes << 20).unwrap();
        let formatted = quiet(Command::new("mkfs.ext4").args(["-q", "-O", "^has_journal"]).arg(&image));
        let is_mounted =
            formatted && quiet(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&folder.0));
        Self { folder, image: Some(image), is_mounted }.required()
    }

    /// Mounts an in-memory file system of this size.
    pub fn tmpfs(megabytes: u64) -> Self {
        let folder = Folder::new();
        let size = format!("size={megabytes}m");
        let is_mounted =
            quiet(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder.0));
        Self { folder, image: None, is_mounted }.required()
    }

    fn required(self) -> Self {
        if !self.is_mounted {
            assert!(
                setting("COFFER_REQUIRE_MOUNT").is_none_or(|value| value != "1"),
                "no file system can be mounted"
            );
            // Not `eprintln!`, because the test harness would capture it.
            io::stderr()
                .write_all(b"No file system can be mounted: tests of full disks are skipped.\n")
                .unwrap();
        }
        self
    }

    pub fn path(&self) -> &Path {
        &self.folder.0
    }

    /// Returns whether this is a separate file system, which can be filled and frozen.
    pub fn is_mounted(&self) -> bool {
        self.is_mounted
    }

    /// Fills the file system completely.
    pub fn fill(&self) {
        assert!(self.is_mounted);
        let mut ballast = File::create(self.ballast()).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![0; size];
            while ballast.write_all(&block).is_ok() {}
        }
    }

    /// Frees the space that `fill` took.
    pub fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.folder.0.join("ballast")
    }

    /// Makes these files immutable, or writable again. Writes fail for processes that have them open, too.
    pub fn freeze(&self, names: &[&str], frozen: bool) {
        assert!(self.is_mounted);
        for name in names {
            let file = self.folder.0.join(name);
            assert!(
                quiet(Command::new("chattr").arg(if frozen { "+i" } else { "-i" }).arg(&file)),
                "{}",
                file.display()
            );
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            quiet(Command::new("umount").arg("--lazy").arg(&self.folder.0));
        }
        if let Some(image) = &self.image {
            let _ = fs::remove_file(image);
        }
    }
}

fn quiet(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
