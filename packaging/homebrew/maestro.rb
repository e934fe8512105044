# Formula for a tap: it builds from source. `url` and `sha256` are filled in for each release.
class Maestro < Formula
  desc "Hub for the coding agents of one computer"
  homepage "https://github.com/OWNER/maestro"
  url "https://github.com/OWNER/maestro/archive/refs/tags/v0.1.0.tar.gz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license any_of: ["Apache-2.0", "MIT"]
  head "https://github.com/OWNER/maestro.git", branch: "main"

  depends_on "rust" => :build
  # For phones away from home only.
  depends_on "cloudflared" => :recommended

  def install
    system "cargo", "install", *std_cargo_args
    system bin/"maestroctl", "man", man
    generate_completions_from_executable(bin/"maestroctl", "completions", shells: [:bash, :zsh, :fish])
    (etc/"maestro").install "packaging/homebrew/maestro.toml"
  end

  def post_install
    (var/"maestro").mkpath
    (var/"log/maestro").mkpath
  end

  def caveats
    <<~EOS
      Mail and presence are shared through Redis if there is one, whichever you like:
        brew install redis      (or valkey; it need not run as a service, maestrod runs its own)
      Without it everything works on this computer alone.

      After an upgrade: brew services restart maestro
      What is wrong, if something is: maestroctl doctor
    EOS
  end

  service do
    # opt paths only: an upgrade deletes the version behind them.
    run [opt_bin/"maestrod", "run", "--config", etc/"maestro/maestro.toml"]
    # true, and nothing finer: on Linux only that gives Restart=on-failure. A stop is `brew services stop`.
    keep_alive true
    throttle_interval 5 # macOS
    restart_delay 1 # Linux
    environment_variables PATH: std_service_path_env, MAESTRO_MANAGER: "brew"
    working_dir var/"maestro"
    # Only what is said before the log is open: that is maestrod.log in the state directory, kept within bounds.
    log_path var/"log/maestro/boot.log"
    error_log_path var/"log/maestro/boot.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/maestrod --version")
    system bin/"maestrod", "check", "--config", etc/"maestro/maestro.toml"
    # Not running is what it says, and how.
    assert_match "not running", shell_output("#{bin}/maestroctl status", 3)
  end
end
