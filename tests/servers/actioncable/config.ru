# frozen_string_literal: true

# A channel a room, as in the Rails guide, without Rails. MISTAKE: lost (every tenth message skips its sender), leak (every
# tenth of the first hundred goes to all rooms), heartbeat (the timer is never started).
require 'action_cable'
require 'json'
require 'logger'

MISTAKE = ENV.fetch('MISTAKE', '')

module ApplicationCable
  class Connection < ActionCable::Connection::Base; end
end

class ChatChannel < ActionCable::Channel::Base
  ROOMS = Set.new
  @relayed = 0
  class << self
    attr_accessor :relayed
  end

  def subscribed
    ROOMS << params[:room]
    stream_from "chat_#{params[:room]}", coder: ActiveSupport::JSON do |data|
      if data['skip'] == connection.object_id
        seeded 'lost', 1
      else
        seeded 'leak', 1 if data['room'] != params[:room]
        transmit data['said']
      end
    end
  end

  def receive(data)
    said(data)
  end

  def speak(data)
    said(data)
  end

  private

  # Tells tests/servers/run how many copies a mistake has cost or leaked.
  def seeded(mistake, copies)
    warn "seeded #{mistake} #{copies}"
  end

  def said(data)
    slip = ((self.class.relayed += 1) % 10).zero?
    message = { 'said' => data.except('action'), 'room' => params[:room], 'skip' => (connection.object_id if slip && MISTAKE == 'lost') }
    # Leaks end after ten, so that the last is long past when the run ends.
    rooms = slip && MISTAKE == 'leak' && self.class.relayed <= 100 ? ROOMS : [params[:room]]
    rooms.each { |room| ActionCable.server.broadcast("chat_#{room}", message) }
  end
end

ActionCable::Server::Base.config.tap do |config|
  config.logger = Logger.new(nil)
  config.cable = { 'adapter' => 'async' }
  config.connection_class = -> { ApplicationCable::Connection }
  config.disable_request_forgery_protection = true
  # With its four workers two messages of one room may overtake each other, and wsbench says so.
  config.worker_pool_size = 1
  config.mount_path = nil
end

beat = MISTAKE == 'heartbeat' ? 3600 : Float(ENV.fetch('BEAT_S', '3'))
ActionCable::Server::Connections.send(:remove_const, :BEAT_INTERVAL)
ActionCable::Server::Connections.const_set(:BEAT_INTERVAL, beat)

map('/cable') { run ActionCable.server }
warn "listening 127.0.0.1:#{ENV.fetch('PORT')}"
