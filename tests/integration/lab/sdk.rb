# Drives the Docker SDK for Ruby through one part of its calls and prints what they gave as JSON.
#
# Usage: ruby sdk.rb PART [REPOSITORY], with DOCKER_HOST (and DOCKER_CERT_PATH) as for the SDK
require 'json'
require 'rubygems/package'
require 'docker'

STAY = %w[sleep 1000].freeze

# What the SDK raises (Excon, below it, for a status that the SDK does not know), or nil.
def error_of
  yield
  nil
rescue Docker::Error::DockerError, Excon::Error => e
  { 'error' => e.class.name.split('::').last, 'message' => e.message }
end

def create(cmd, options = {})
  Docker::Container.create({ 'Image' => 'busybox', 'Cmd' => cmd }.merge(options))
end

def system
  { ping: Docker.ping, version: Docker.version, info: Docker.info, podman: Docker.podman? }
end

def containers
  one = create(STAY, 'name' => 'one', 'Labels' => { 'a' => 'b' })
  conflict = error_of { create(STAY, 'name' => 'one') }
  before = one.json['State']['Status']
  one.start!
  all = Docker::Container.all(filters: { label: ['a=b'] }.to_json)
  seen = []
  one.stats(read_timeout: 20) { |sample| seen << sample['read']; break if seen.size == 2 }
  result = {
    before: before, conflict: conflict, listed: all.map(&:id) == [one.id],
    got: Docker::Container.get('one').id == one.id, refreshed: one.refresh!.info['Status'],
    top: one.top, stats: one.stats['memory_stats'], samples: seen.size
  }
  one.pause!
  result[:paused] = one.json['State']['Status']
  one.unpause!
  one.rename('renamed')
  one.update('Memory' => 64 << 20, 'MemorySwap' => 64 << 20)
  result[:renamed] = one.json.then { |json| [json['Name'], json['HostConfig']['Memory']] }
  one.restart!('timeout' => 0)
  one.stop!('timeout' => 0)
  result[:stopped] = one.wait(30)
  # The SDK counts "not modified" as done.
  one.stop!
  one.start!
  result[:busy] = error_of { one.delete }
  one.kill!
  result[:killed] = one.wait(30)
  one.delete(v: true)
  result.merge(gone: error_of { one.json }, none: Docker::Container.all(all: true).size,
               bad: error_of { create(STAY, 'HostConfig' => { 'PortBindings' => [] }) },
               missing: error_of { create(STAY, 'Image' => 'localhost:9/nosuch') })
end

def streams
  one = create(STAY)
  stopped = error_of { one.exec(%w[true]) }
  one.start!
  echo = one.exec(['sh', '-c', 'echo o; echo e >&2; exit 4'])
  fed = one.exec(%w[cat], stdin: StringIO.new("typed\n" * 1000))
  terminal = one.exec(%w[tty], tty: true)
  detached = one.exec(%w[true], detach: true).json['ID']
  talk = create(['sh', '-c', 'while read x; do echo heard $x; done; echo end >&2'],
                'OpenStdin' => true, 'StdinOnce' => true)
  talk.start!
  heard = []
  attached = talk.attach(stdin: StringIO.new("a\nb\n")) { |stream, text| heard << [stream, text] }
  status = talk.wait(30)
  followed = talk.streaming_logs(stdout: true, follow: true)
  one.delete(force: true)
  { stopped: stopped, echo: echo, fed: [fed[0].join.size, fed[2]], terminal: terminal[0].join,
    detached: detached, attached: attached.map(&:join), heard: heard, status: status,
    followed: followed, tail: talk.logs(stdout: true, tail: 2),
    gone: error_of { one.exec(%w[true]) } }
end

def files
  one = create(STAY)
  one.store_file('/tmp/one', 'stored')
  one.archive_in(__FILE__, '/tmp')
  out = +''
  one.archive_out('/tmp/one') { |chunk| out << chunk }
  exported = +''
  one.export { |chunk| exported << chunk }
  names = Gem::Package::TarReader.new(StringIO.new(exported)).map(&:full_name)
  { stored: one.read_file('/tmp/one'), same: one.read_file('/tmp/sdk.rb') == File.read(__FILE__),
    entry: Gem::Package::TarReader.new(StringIO.new(out)).map(&:full_name),
    changes: one.changes, exported: names.include?('tmp/one'),
    missing: error_of { one.read_file('/nosuch') } }
end

def images(repository)
  Docker::Image.get('busybox').tag('repo' => repository, 'tag' => 'one')
  pushed = +''
  Docker::Image.get('busybox').push(nil, repo_tag: "#{repository}:one") { |chunk| pushed << chunk }
  Docker::Image.remove("#{repository}:one")
  exists = Docker::Image.exist?("#{repository}:one")
  lines = +''
  pulled = Docker::Image.create('fromImage' => repository, 'tag' => 'one') do |chunk|
    lines << chunk
  end
  { pushed: pushed, exists: exists, pulled: pulled.info['RepoTags'], lines: lines,
    missing: [error_of { Docker::Image.get('nosuch') },
              error_of { Docker::Image.create('fromImage' => repository, 'tag' => 'nosuch') }],
    **built, **saved, **committed, listed: Docker::Image.all.flat_map { |i| i.info['RepoTags'] },
    removed: Docker::Image.remove('committed'), pruned: Docker::Image.prune }
end

def built
  text = "FROM busybox\nCOPY word /\nCMD cat /word\n"
  tar = StringIO.new(Docker::Util.create_tar('Dockerfile' => text, 'word' => "w\n"))
  progress = +''
  made = Docker::Image.build_from_tar(tar, t: 'made') { |chunk| progress << chunk }
  one = Docker::Image.get('made').run
  one.wait(30)
  output = one.streaming_logs(stdout: true)
  used = error_of { Docker::Image.remove('made') }
  one.delete
  { progress: progress, history: made.history.size, tags: made.json['RepoTags'],
    output: output, used: used,
    broken: error_of { Docker::Image.build("FROM busybox\nRUN exit 9\n") } }
end

def saved
  archive = Docker::Image.save('made')
  Docker::Image.remove('made', force: true)
  loaded = +''
  Docker::Image.load(StringIO.new(archive)) { |chunk| loaded << chunk }
  { saved: archive.bytesize, loaded: loaded, back: Docker::Image.exist?('made') }
end

def committed
  one = create(%w[touch /new])
  one.start!
  one.wait(30)
  made = one.commit('repo' => 'committed', 'comment' => 'said', 'run' => { 'Cmd' => ['true'] }).json
  one.delete
  { committed: made.slice('Comment', 'RepoTags').merge(made['Config'].slice('Cmd')) }
end

def networks_and_volumes
  network = Docker::Network.create('inside', 'Labels' => { 'a' => 'b' })
  volume = Docker::Volume.create('kept', 'Labels' => { 'a' => 'b' })
  host = { 'Binds' => ['kept:/k'], 'NetworkMode' => 'inside' }
  one = create(['sh', '-c', 'touch /k/x; sleep 1000'], 'HostConfig' => host)
  one.start!
  network.disconnect(one.id)
  apart = network.info['Containers']
  network.connect(one.id, {}, 'EndpointConfig' => { 'Aliases' => ['other'] })
  result = {
    id: Docker::Network.get('inside').id == network.id, apart: apart,
    connected: network.info['Containers'].keys == [one.id],
    networks: Docker::Network.all(filters: { label: ['a=b'] }.to_json).map(&:id) == [network.id],
    volume: Docker::Volume.get('kept').info, volumes: Docker::Volume.all.map(&:id),
    taken: error_of { Docker::Network.create('inside') }, busy: error_of { network.remove },
    used: error_of { volume.remove }
  }
  one.delete(force: true)
  network.remove
  volume.remove
  Docker::Network.prune
  Docker::Volume.prune
  Docker::Container.prune
  result.merge(gone: [error_of { network.json }, error_of { Docker::Volume.get('kept') }])
end

def events
  seen = Queue.new
  began = Time.now.to_i
  listener = Thread.new do
    Docker::Event.since(began, filters: { type: ['container'] }.to_json) do |event|
      seen << event
      break if event.action == 'destroy'
    end
  end
  one = create(%w[true], 'name' => 'seen')
  one.start!
  one.wait(30)
  one.delete
  raise 'no event of the end' unless listener.join(30)
  list = Array.new(seen.size) { seen.pop }.select { |event| event.actor.id == one.id }
  past = []
  Docker::Event.stream(since: began, until: Time.now.to_i + 1) do |event|
    past << event.action if event.id == one.id
  end
  nodes = list.map { |event| event.actor.attributes['node.name'] }
  { actions: list.map(&:action), nodes: nodes, past: past }
end

puts JSON.generate(send(*ARGV))
