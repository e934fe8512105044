//! An allocator that counts, and the way its counts leave the process: whoever connects to a socket and writes a byte is
//! told. Telling allocates nothing.

#![allow(unsafe_code)] // the only way to be an allocator; each call goes to the system's as it is

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs,
    io::{self, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
};

/// Counts what goes to the system's allocator.
pub struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static ALLOCATED: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);

fn count(bytes: usize) {
    ALLOCATIONS.fetch_add(1, Relaxed);
    ALLOCATED.fetch_add(bytes as u64, Relaxed);
}

fn uncount(bytes: usize) {
    FREED.fetch_add(bytes as u64, Relaxed);
}

// SAFETY: every method passes its arguments to `System` unchanged and returns what that returns.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        uncount(layout.size());
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        uncount(layout.size());
        unsafe { System.dealloc(place, layout) }
    }
}

/// What was counted since the process began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Calls that asked for memory, growing included.
    pub allocations: u64,
    /// Bytes asked for.
    pub bytes: u64,
    /// Bytes that are in use.
    pub live: u64,
}

/// Tells the counts of this process at a socket, from a thread of its own.
pub fn tell_at(socket: &Path) -> io::Result<()> {
    let _first_time = fs::remove_file(socket);
    let listener = UnixListener::bind(socket)?;
    thread::Builder::new().name("counts".into()).spawn(move || {
        while let Ok((mut asker, _)) = listener.accept() {
            let mut byte = [0];
            while asker.read_exact(&mut byte).is_ok() {
                let freed = FREED.load(Relaxed); // first: what is in use is never told as less than nothing
                let told = [ALLOCATIONS.load(Relaxed), ALLOCATED.load(Relaxed), freed];
                if asker
                    .write_all(told.map(u64::to_le_bytes).as_flattened())
                    .is_err()
                {
                    break;
                }
            }
        }
    })?;
    Ok(())
}

/// The other end of [`tell_at`].
pub struct Told(UnixStream);

impl Told {
    pub fn at(socket: &Path) -> Self {
        Self(UnixStream::connect(socket).expect("the counting hub tells its counts"))
    }

    pub fn now(&mut self) -> Counts {
        self.0.write_all(&[0]).expect("asked");
        let mut told = [[0; 8]; 3];
        self.0.read_exact(told.as_flattened_mut()).expect("told");
        let [allocations, bytes, freed] = told.map(u64::from_le_bytes);
        Counts {
            allocations,
            bytes,
            live: bytes - freed,
        }
    }
}
