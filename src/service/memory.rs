//! Memory that was needed once: the allocator of glibc keeps what was freed for the day it is needed again. We run for months.

/// Gives the system back what the allocator holds and nobody uses. Takes some milliseconds, in which other threads may wait for
/// memory. Allocators of other systems do that by themselves.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub fn give_back() {
    // SAFETY: takes no pointer, and locks what it looks at (malloc_trim(3): MT-Safe).
    unsafe { libc::malloc_trim(0) };
}

/// Gives the system back what the allocator holds and nobody uses: nothing to do here.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back() {}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_in_use_stays() {
        let used: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        drop(vec![1u8; 1 << 20]);
        super::give_back();
        assert!(used.iter().enumerate().all(|(n, text)| *text == n.to_string()));
    }
}
