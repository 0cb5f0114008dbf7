# frozen_string_literal: true

# sidekiq - a queue in Redis, for Ruby. Chosen for speed: ten threads (3 and 5 were slower), the driver in C for Redis (hiredis),
# no middleware, no retries, jobs pushed in bulk.
#
# usage: sidekiq -r peer_sidekiq.rb    (a worker)
#        ruby peer_sidekiq.rb enqueue JOBS [SCHEDULE]
require 'json'
require 'pg'
require 'redis'
require 'hiredis'
require 'securerandom'
require 'sidekiq'

ROOT = ENV.fetch('FENCELINE_SOURCE_ROOT')

# What one thread works with: a connection to each server, with all statements prepared. Everything after the check
# leaves in one flight (pipeline mode); rows are one array a column (unnest).
class Importer
  UNLOCK = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
  STATEMENTS = {
    'begin' => 'BEGIN',
    'commit' => 'COMMIT',
    'rollback' => 'ROLLBACK',
    'chapters_check' => 'SELECT count(*) FROM peers.chapters WHERE episode_id = $1',
    'chapters_clear' => 'DELETE FROM peers.chapters WHERE episode_id = $1',
    'chapters_insert' => <<~SQL,
      INSERT INTO peers.chapters (episode_id, order_index, start_ms, end_ms, title, url, toc)
      SELECT $1, i - 1, s, e, t, u, c FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::boolean[])
             WITH ORDINALITY AS r (s, e, t, u, c, i)
    SQL
    'transcript_check' => 'SELECT count(*) FROM peers.transcript_segments WHERE episode_id = $1',
    'transcript_clear' => 'DELETE FROM peers.transcript_segments WHERE episode_id = $1',
    'transcript_insert' => <<~SQL
      INSERT INTO peers.transcript_segments (episode_id, order_index, start_ms, end_ms, speaker, body)
      SELECT $1, i - 1, s, e, p, b FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[])
             WITH ORDINALITY AS r (s, e, p, b, i)
    SQL
  }.freeze

  def self.own
    Thread.current[:importer] ||= new
  end

  def initialize
    @pg = PG.connect(ENV.fetch('FENCELINE_POSTGRES'))
    STATEMENTS.each { |name, text| @pg.prepare(name, text) }
    @pg.enter_pipeline_mode
    @numbers = PG::TextEncoder::Array.new(elements_type: PG::TextEncoder::Integer.new)
    @texts = PG::TextEncoder::Array.new(elements_type: PG::TextEncoder::String.new)
    @truths = PG::TextEncoder::Array.new(elements_type: PG::TextEncoder::Boolean.new)
    @redis = Redis.new(url: ENV.fetch('FENCELINE_REDIS'), driver: :hiredis)
    @unlock = @redis.script(:load, UNLOCK)
  end

  # Under a lock as redlock has it on one server: SET NX PX by a nonce, compare and delete.
  def import(kind, episode, source)
    key = "lock:{#{episode}}"
    nonce = SecureRandom.hex(16)
    raise "#{episode}: locked" unless @redis.set(key, nonce, nx: true, px: 30_000)

    begin
      store(kind, episode, columns(kind, File.read("#{ROOT}/#{source}")))
    ensure
      @redis.evalsha(@unlock, [key], [nonce])
    end
  end

  private

  def ms(seconds)
    raise "a time is #{seconds}" unless seconds.is_a?(Numeric) && seconds >= 0

    (seconds * 1000).round
  end

  # The columns of a document, as text of arrays.
  def columns(kind, text)
    rows = JSON.parse(text)[kind == 'chapters' ? 'chapters' : 'segments']
    raise 'no rows' if rows.nil? || rows.empty?

    starts = rows.map { |row| ms(row['startTime']) }
    if kind == 'transcript'
      return [@numbers.encode(starts), @numbers.encode(rows.map { |row| ms(row['endTime']) }),
              @texts.encode(rows.map { |row| row['speaker'] }), @texts.encode(rows.map { |row| row['body'] })]
    end
    ends = rows.each_with_index.map { |row, i| row.key?('endTime') ? ms(row['endTime']) : starts[i + 1] }
    [@numbers.encode(starts), @numbers.encode(ends), @texts.encode(rows.map { |row| row['title'] || '' }),
     @texts.encode(rows.map { |row| row['url'] }), @truths.encode(rows.map { |row| row.fetch('toc', true) })]
  end

  def store(kind, episode, lists)
    if flight(['begin', []], ["#{kind}_check", [episode]]).last.getvalue(0, 0) != '0'
      flight(['rollback', []])
      raise "#{episode}: #{kind} already imported"
    end
    commit = flight(["#{kind}_clear", [episode]], ["#{kind}_insert", [episode, *lists]], ['commit', []]).last
    raise "#{episode}: not committed" unless commit.cmd_status == 'COMMIT'
  end

  # One round trip, however many statements. The answer of each, and nothing after it, is followed by a nil.
  def flight(*statements)
    statements.each { |name, values| @pg.send_query_prepared(name, values) }
    @pg.pipeline_sync
    answers = statements.map { @pg.get_result.tap { @pg.get_result } }
    @pg.get_result
    answers.each(&:check)
  rescue PG::Error
    flight(['rollback', []]) if statements.last.first != 'rollback'
    raise
  end
end

class Imports
  include Sidekiq::Worker
  sidekiq_options queue: 'imports', retry: false

  def perform(kind, episode, source)
    Importer.own.import(kind, episode, source)
  end
end

Sidekiq.configure_server do |config|
  config.redis = { url: ENV.fetch('FENCELINE_REDIS'), driver: :hiredis }
  config.logger.level = Logger::ERROR
  config.server_middleware { |chain| chain.clear }
end

Sidekiq.configure_client do |config|
  config.redis = { url: ENV.fetch('FENCELINE_REDIS'), driver: :hiredis }
end

# Calls at their moments, and prints when each began, in microseconds.
def paced(jobs, schedule)
  zero = Time.now.to_f + 0.05
  begun = jobs.zip(File.readlines(schedule).map(&:to_f)).map do |job, offset|
    wait = zero + offset - Time.now.to_f
    sleep(wait) if wait.positive?
    before = Process.clock_gettime(Process::CLOCK_REALTIME, :microsecond)
    Imports.perform_async(*job)
    "#{job[1]} #{before}"
  end
  puts begun
end

if ARGV[0] == 'enqueue'
  jobs = File.readlines(ARGV[1]).map(&:split)
  ARGV[2] ? paced(jobs, ARGV[2]) : jobs.each_slice(1000) { |some| Imports.perform_bulk(some) }
end
