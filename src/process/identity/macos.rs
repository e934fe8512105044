//! Identity from libproc (`<libproc.h>`, `<sys/proc_info.h>`): PROC_PIDTBSDINFO holds status and start time.

#![allow(unsafe_code)] // libproc and sysctl have no safe binding here

use std::{
    ffi::{CStr, OsStr},
    fs, io, mem,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    ptr,
    sync::OnceLock,
    time::Duration,
};

use super::{Image, Life, Seen};

// Values of `pbi_status`, from <sys/proc.h>.
const SSTOP: u32 = 4;
const SZOMB: u32 = 5;

pub(super) fn see(pid: i32) -> io::Result<Option<Seen>> {
    // SAFETY: plain data for which all zeroes is valid.
    let mut info: libc::proc_bsdinfo = unsafe { mem::zeroed() };
    let size = mem::size_of::<libc::proc_bsdinfo>() as libc::c_int;
    // SAFETY: the buffer is as long as we say.
    let got = unsafe {
        libc::proc_pidinfo(
            pid,
            libc::PROC_PIDTBSDINFO,
            0,
            ptr::from_mut(&mut info).cast(),
            size,
        )
    };
    if got < size {
        let err = io::Error::last_os_error();
        // A zombie has no more task to ask about: ESRCH as well.
        return if err.raw_os_error() == Some(libc::ESRCH) {
            Ok(None)
        } else {
            Err(err)
        };
    }
    let life = match info.pbi_status {
        SZOMB => Life::Dead,
        SSTOP => Life::Frozen,
        _ => Life::Alive,
    };
    Ok(Some(Seen {
        life,
        token: info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec,
    }))
}

pub(super) fn boot() -> io::Result<String> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(boot) = BOOT.get() {
        return Ok(boot.clone());
    }
    let mut buffer = [0u8; 128];
    let mut length = buffer.len();
    // SAFETY: name is a C string, buffer and length belong together, nothing is set.
    let result = unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            buffer.as_mut_ptr().cast(),
            &mut length,
            ptr::null_mut(),
            0,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let id = CStr::from_bytes_until_nul(&buffer).map_err(io::Error::other)?;
    Ok(BOOT.get_or_init(|| id.to_string_lossy().into_owned()).clone())
}

/// Start times are wall-clock microseconds.
pub(super) fn age(token: u64) -> Option<Duration> {
    let now = crate::process::clock::wall_ms();
    Some(Duration::from_millis(now.saturating_sub(token / 1000)))
}

pub(super) fn image(pid: i32) -> Option<Image> {
    let mut buffer = [0u8; libc::PROC_PIDPATHINFO_MAXSIZE as usize];
    // SAFETY: the buffer is as long as we say.
    let length = unsafe { libc::proc_pidpath(pid, buffer.as_mut_ptr().cast(), buffer.len() as u32) };
    let path = PathBuf::from(OsStr::from_bytes(buffer.get(..usize::try_from(length).ok()?)?));
    let file = fs::metadata(&path).ok()?;
    Some(Image {
        path,
        inode: (file.dev(), file.ino()),
    })
}

/// Open files of other processes are not for us to see here.
pub(super) fn has_open(_pid: i32, _path: &Path) -> Option<bool> {
    None
}
