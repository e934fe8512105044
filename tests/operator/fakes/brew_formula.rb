# Loads a formula as brew would, with stand-ins that know what the real DSL knows and nothing else, and prints as JSON
# what its service says. Called with the formula's file.
require "json"
require "pathname"

# The words of brew's service block (TESTBED: its source, August 2026).
class Service
  WORDS = %i[run run_type interval cron keep_alive launch_only_once run_at_load require_root environment_variables
             working_dir root_dir input_path log_path error_log_path restart_delay throttle_interval stop_timeout
             process_type nice macos_legacy_timers sockets name].freeze

  attr_reader :said

  def initialize(formula)
    @formula = formula
    @said = {}
  end

  WORDS.each { |word| define_method(word) { |*values| @said[word] = values.first } }

  def std_service_path_env
    "/opt/homebrew/bin:/opt/homebrew/sbin:/usr/bin:/bin:/usr/sbin:/sbin"
  end

  %i[opt_bin etc var bin].each { |place| define_method(place) { @formula.public_send(place) } }
end

class Formula
  class << self
    attr_reader :facts, :block

    %i[desc homepage url version sha256 license head].each do |word|
      define_method(word) { |value = nil, **rest| (@facts ||= {})[word] = value || rest }
    end

    def depends_on(what)
      ((@facts ||= {})[:depends_on] ||= []) << what
    end

    def service(&block)
      @block = block
    end

    def test(&) = nil
  end

  def opt_bin = Pathname("/opt/homebrew/opt/maestro/bin")
  def bin = Pathname("/opt/homebrew/Cellar/maestro/0.1.0/bin")
  def etc = Pathname("/opt/homebrew/etc")
  def var = Pathname("/opt/homebrew/var")
  def man = Pathname("/opt/homebrew/share/man")

  # What `install` does, noted.
  attr_reader :done

  def std_cargo_args = ["--locked", "--root", "/opt/homebrew/Cellar/maestro/0.1.0", "--path", "."]
  def system(*words) = (@done ||= []) << words.map(&:to_s)
  def generate_completions_from_executable(*words, **rest) = (@done ||= []) << [*words, rest].map(&:to_s)
end

class Pathname
  def install(*) = nil
end

load ARGV.fetch(0)
formula = Maestro.new
formula.install
service = Service.new(formula)
service.instance_eval(&Maestro.block)
puts JSON.generate(facts: Maestro.facts, service: service.said, done: formula.done, caveats: formula.caveats)
