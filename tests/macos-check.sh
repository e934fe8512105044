#!/bin/sh
# Compiles everything for a Mac, lints included, on Debian: `cargo clippy` for aarch64-apple-darwin. Nothing is run or
# linked, and nothing is installed: Debian's rustc-web brings the compiler and the sources of the standard library, and
# they are unpacked below target/macos (1.5 GB, kept: only the first time takes minutes).
#
# C in our dependencies (SQLite, ring) is not compiled: a check needs its archives to be there, not to be full.
#
# Ends with 0 and a line that says so where the packages cannot be had.
set -eu

target=aarch64-apple-darwin
root=$(cd "$(dirname "$0")/.." && pwd)
here=$root/target/macos
wanted="rustc-web cargo-web rust-web-clippy rust-web-src"

skip() {
    echo "macOS check skipped: $1"
    exit 0
}

[ "$(uname -s)" = Linux ] || skip "only done from Linux; elsewhere the ordinary lints see it"
[ "$(uname -m)" = x86_64 ] || skip "Debian's packages are used as they are for x86_64"
command -v apt-get >/dev/null || skip "the compiler comes from Debian's packages, and this is no Debian"

# Which packages that takes moves with Debian, so apt is asked. Only ours are wanted, and what they alone need.
unpack() {
    packages=$(apt-get install -s -q --no-install-recommends $wanted 2>/dev/null | awk '/^Inst/ { print $2 }')
    [ -n "$packages" ] || return 1
    rm -rf "$here/new" && mkdir -p "$here/new/deb" "$here/new/rust"
    # shellcheck disable=SC2086 # a list of names
    (cd "$here/new/deb" && apt-get download -q $packages) || return 1
    for package in "$here"/new/deb/*.deb; do dpkg -x "$package" "$here/new/rust" || return 1; done
    rm -rf "$here/new/deb" "$here/rust" && mv "$here/new/rust" "$here/rust" && rm -rf "$here/new"
}

if ! [ -x "$here/rust/usr/bin/rustc" ]; then
    mkdir -p "$here"
    unpack >"$here/unpack.log" 2>&1 || skip "rustc-web cannot be had (see target/macos/unpack.log; apt-get update helps if it never ran)"
fi

# Stands in for the compiler and the archiver of C: says what the host's preprocessor says, and makes empty files.
mkdir -p "$here/bin"
cat >"$here/bin/cc" <<'CC'
#!/bin/sh
for word; do
    [ "$word" = -E ] && exec cc -E -x c "$(for last; do :; done; echo "$last")"
done
while [ $# -gt 0 ]; do
    case $1 in -o) : >"$2" ;; esac
    shift
done
CC
cat >"$here/bin/ar" <<'AR'
#!/bin/sh
for word; do
    case $word in *.a) printf '!<arch>\n' >"$word" ;; esac
done
AR
chmod +x "$here/bin/cc" "$here/bin/ar"

# Some libraries are still packed for /lib, which on a machine is /usr/lib and here is a directory of its own.
export LD_LIBRARY_PATH="$here/rust/usr/lib/x86_64-linux-gnu:$here/rust/lib/x86_64-linux-gnu"
export PATH="$here/rust/usr/bin:$PATH" RUSTC="$here/rust/usr/bin/rustc" RUSTC_BOOTSTRAP=1
export CARGO_TARGET_DIR="$here/target" CARGO_PROFILE_DEV_DEBUG=0
export CC_aarch64_apple_darwin="$here/bin/cc" AR_aarch64_apple_darwin="$here/bin/ar" SDKROOT=/ MACOSX_DEPLOYMENT_TARGET=11.0
unset CARGO RUSTUP_TOOLCHAIN CARGO_BUILD_TARGET RUSTFLAGS || true

# What the packages need may count as installed on this machine and be gone all the same.
for tool in cargo cargo-clippy clippy-driver rustc; do
    missing=$(ldd "$here/rust/usr/bin/$tool" | awk '/not found/ { print $1 }' | tr '\n' ' ')
    [ -z "$missing" ] || skip "Debian's $tool lacks $missing(remove target/macos to unpack it anew)"
done

cd "$root"
"$here/rust/usr/bin/cargo" clippy --locked --all-targets --target $target -Zbuild-std=std,panic_unwind,test "$@" -- -D warnings
echo "macOS check: all of it compiles for $target, without a warning"
