#include "compat/tcpshm_queue_link.hpp"

#include <cstring>

#include "os/session_note.hpp"

namespace ferry::compat::tcpshm {
namespace {

using os::tcpshm::held_file;
using os::tcpshm::ring_path;

constexpr std::size_t k_queue_file_slack = 4;  // a file that was rounded up to 8
constexpr std::size_t k_largest_message = 65535;

std::error_code misuse() noexcept { return to_std(errc::misuse); }

}  // namespace

// The polling thread --------------------------------------------------------------------------------------------------

message_header* queue_link::alloc(std::size_t size) noexcept {
  writing_ = nullptr;
  if (size > k_largest_message - sizeof(message_header)) return nullptr;
  const auto whole = static_cast<std::uint16_t>(size + sizeof(message_header));
  std::byte* at = nullptr;
  if (rings_) {
    at = rings_->out.alloc(whole);
  } else if (queue_) {
    at = queue_->at.alloc(whole);
  }
  if (at == nullptr) return nullptr;
  std::memset(at + sizeof whole, 0, sizeof(message_header) - sizeof whole);
  return writing_ = reinterpret_cast<message_header*>(at);
}

std::error_code queue_link::push(bool more) noexcept {
  if (writing_ == nullptr || writing_->msg_type == 0) return misuse();
  if (rings_) {
    const std::uint32_t before = rings_->out.position();  // the peer consumes meanwhile, so no other number tells
    rings_->out.push();
    pushed_bytes_ += std::uint64_t{rings_->out.position() - before} * ring::k_tcpshm_block;
  } else {
    const std::size_t before = queue_->at.unacknowledged_bytes();
    queue_->at.push(writing_->msg_type);
    pushed_bytes_ += queue_->at.unacknowledged_bytes() - before;
  }
  writing_ = nullptr;
  if (!more) flush();
  return {};
}

void queue_link::begin_turn(std::int64_t now) {
  tcp_.tick(now);
  flush();
  receive();
}

void queue_link::end_turn() {
  tend_queue();
  if (tcp_.over()) give_up(*tcp_.over());
}

void queue_link::flush() {
  if (!queue_ || is_closed()) return;
  const bytes waiting = queue_->at.unsent();
  if (waiting.empty()) return;
  const std::size_t taken = tcp_.send(waiting);
  if (taken == 0) return;
  queue_->at.sent(taken);
  unacknowledged_ = 0;
}

const message* queue_link::front() {
  if (front_) return is_closed() ? nullptr : &*front_;
  if (is_closed()) return nullptr;
  return rings_ ? front_of_ring() : queue_ ? front_of_queue() : nullptr;
}

const message* queue_link::front_of_ring() {
  const auto found = rings_->in.front();
  if (rings_->in.corrupt() || rings_->out.corrupt() || rings_->in_file.torn() || rings_->out_file.torn()) {
    give_up({"the peer has damaged the shared memory"});
    return nullptr;
  }
  if (!found) return nullptr;
  front_ =
      message{found.size, found.type, bytes(found.at + sizeof(message_header), found.size - sizeof(message_header))};
  return &*front_;
}

// Acknowledgements count when they come, also behind a message that the application leaves lying: it may be waiting for
// the room that they give.
void queue_link::receive() {
  front_.reset();  // receiving moves it
  tcp_.receive([this](const codec::tcpshm::header& found) {
    if (queue_->at.acknowledge(found.ack)) return true;
    tcp_.end("the peer acknowledges up to number " + std::to_string(found.ack) + ", which was never sent");
    return false;
  });
}

const message* queue_link::front_of_queue() {
  const auto found = tcp_.front();
  if (!found) return nullptr;
  front_ = message{found->header.size, found->header.type,
                   bytes(found->at + sizeof(message_header), found->header.size - sizeof(message_header))};
  return &*front_;
}

void queue_link::pop() noexcept {
  if (!front_) return;
  if (rings_) {
    rings_->in.pop();
  } else if (queue_) {
    // Whoever closes the connection may still consume what he has.
    if (!is_closed()) tcp_.drop();
    queue_->at.consumed();
    unacknowledged_ += front_->size;
  }
  front_.reset();
}

void queue_link::tend_queue() {
  if (tcp_.over()) return;
  const auto limit = how_->with.acknowledge_bytes;
  const bool much_consumed = limit != 0 && unacknowledged_ >= limit;
  if (queue_->at.unsent().empty() && (much_consumed || tcp_.heartbeat_due())) {
    tcp_.heartbeat(queue_->at.ack());
    unacknowledged_ = 0;
  }
  tcp_.check_peer(front_.has_value());
  if (queue_->file.torn()) tcp_.end("the queue file was cut off");
}

connection::progress queue_link::where() const noexcept {
  if (rings_) return {rings_->in.position(), rings_->out.position()};
  if (queue_) return {queue_->at.ack(), queue_->at.range().end};
  return {};
}

std::size_t queue_link::unacknowledged() const noexcept {
  if (rings_) return rings_->out.unread_bytes();
  return queue_ ? queue_->at.unacknowledged_bytes() : 0;
}

std::uint64_t queue_link::unacknowledged_messages() const noexcept {
  if (rings_) return rings_->out.unread_messages();
  if (!queue_) return 0;
  const auto held = queue_->at.range();
  return held.end - held.start;
}

link::backlog queue_link::waiting() const noexcept {
  if (is_closed()) return {};
  return rings_ ? rings_->in.waiting() : tcp_.waiting();
}

// Joining -------------------------------------------------------------------------------------------------------------

join_outcome queue_link::join_now() {
  front_.reset();
  writing_ = nullptr;
  unacknowledged_ = 0;
  return uses_shm() ? join_rings() : join_queue();
}

void queue_link::release() noexcept {
  queue_.reset();
  rings_.reset();
  front_.reset();
  writing_ = nullptr;
}

std::string queue_link::path_of_queue() const {
  return os::tcpshm::queue_path(how_->directory, how_->local_name, remote_name_);
}

void queue_link::note_mismatch(const sequence_range& local, const sequence_range& remote) const noexcept {
  os::note_mismatch(os::tcpshm::note_path(path_of_queue()), 0,
                    {{local.ack, local.start, local.end}, {remote.ack, remote.start, remote.end}});
}

result<void> queue_link::open_queue(bool begins) {
  rings_.reset();
  if (queue_ && queue_->file.torn()) queue_.reset();
  const auto size = how_->with.tcp_queue_bytes;
  const auto order = how_->format.order;
  if (!queue_) {
    const auto path = path_of_queue();
    auto file = held_file::open(path, session::tcpshm_queue_file_bytes(size), k_queue_file_slack, os::k_writer_byte);
    if (!file) return file.error();
    const auto memory = file->memory();
    auto found = session::tcpshm_queue::recover(memory, size, order);
    if (!found) return found.error().in(path + " is damaged");
    queue_.emplace(queue{std::move(*file), *found});
  }
  if (!begins) return {};
  const auto old = queue_->at.range();
  discarded_ += old.end - old.start;
  queue_->at = session::tcpshm_queue::begin(queue_->file.memory(), size, order);
  return {};
}

result<sequence_range> queue_link::open_for_login() {
  if (const auto opened = open_queue(false); !opened) return opened.error();
  return queue_->at.range();
}

join_outcome queue_link::join_queue() {
  join_outcome made;
  const auto failed = [&](const error& why) {
    made.how = join_outcome::kind::file_error;
    made.why = why;
    return made;
  };
  if (const auto opened = open_queue(request_.begins); !opened) return failed(opened.error());
  const sequence_range& remote = request_.remote;
  made.local = queue_->at.range();
  const sequence_range& local = made.local;
  if (!request_.begins &&
      (!session::within(local.start, remote.ack, local.end) || !session::within(remote.start, local.ack, remote.end))) {
    note_mismatch(local, remote);
    made.how = join_outcome::kind::mismatch;
    made.numbers = {local.ack, local.start, local.end, remote.ack, remote.start, remote.end};
    return made;
  }
  if (const auto resumed = queue_->at.resume(request_.begins ? 0 : remote.ack); !resumed)
    return failed(resumed.error().in("the queue of " + remote_name_ + " is damaged"));
  os::remove_note(os::tcpshm::note_path(path_of_queue()));
  return made;
}

result<void> queue_link::open_rings() {
  queue_.reset();
  if (rings_ && (rings_->in_file.torn() || rings_->out_file.torn())) rings_.reset();
  if (rings_) return {};
  const auto size = how_->with.shm_queue_bytes;
  const auto bytes = ring::tcpshm_ring_file_bytes(size);
  auto out = held_file::open(ring_path(how_->local_name, remote_name_), bytes, 0, os::k_writer_byte);
  if (!out) return out.error();
  auto in = held_file::open(ring_path(remote_name_, how_->local_name), bytes, 0, os::k_reader_byte);
  if (!in) return in.error();
  const ring::tcpshm_ring_memory to(out->memory(), size);
  const ring::tcpshm_ring_memory from(in->memory(), size);
  rings_.emplace(rings{std::move(*out), std::move(*in), to, from, {}, {}});
  return {};
}

result<void> queue_link::begin_rings(bool as_client) {
  const auto& out = rings_->out_memory;
  const auto& in = rings_->in_memory;
  // The server has emptied them before it answered, and may have sent something already.
  const bool fresh = out.write_index().load() == 0 && out.read_index().load() == 0 && in.read_index().load() == 0;
  if (as_client && fresh) return {};
  if (const auto whole = rings_->out.attach(out)) discarded_ += rings_->out.found();
  out.reset();
  in.reset();
  return {};
}

join_outcome queue_link::join_rings() {
  join_outcome made;
  const auto failed = [&](const error& why, bool keep) {
    made.how = join_outcome::kind::file_error;
    made.why = why;
    if (!keep) rings_.reset();
    return made;
  };
  if (const auto opened = open_rings(); !opened) return failed(opened.error(), true);
  if (request_.begins) (void)begin_rings(request_.as_client);
  if (const auto good = rings_->out.attach(rings_->out_memory); !good)
    return failed(good.error().in(ring_path(how_->local_name, remote_name_)), false);
  if (const auto good = rings_->in.attach(rings_->in_memory); !good)
    return failed(good.error().in(ring_path(remote_name_, how_->local_name)), false);
  return made;
}

// The CTL thread ------------------------------------------------------------------------------------------------------

void queue_link::tend(std::int64_t now) {
  tcp_.tick(now);
  tcp_.receive([](const codec::tcpshm::header&) { return true; });
  if (tcp_.front()) tcp_.end("a message came over TCP, beside the shared memory");
  if (tcp_.over()) return;
  if (tcp_.heartbeat_due()) tcp_.heartbeat(0);
  tcp_.check_peer(false);
}

void queue_link::rename(std::string remote_name) {
  release();
  remote_name_ = std::move(remote_name);
}

}  // namespace ferry::compat::tcpshm
