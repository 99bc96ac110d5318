#include "gateway/member.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/endian.hpp"

namespace ferry::gateway {
namespace {

// A packet at least this long is sent from where it lies; a shorter one is copied, so that it goes with others.
constexpr std::size_t k_large = 8 * 1024;
// Commands that may wait above the limit: a gateway has to tell its members what becomes of their dials.
constexpr std::size_t k_commands_above = 64 * 1024;

}  // namespace

member::member(member_owner& owner, std::shared_ptr<stream> carrier, const side_settings& with)
    : owner_(owner),
      carrier_(std::move(carrier)),
      resumes_(dynamic_cast<const resumable*>(carrier_.get())),
      side_(with),
      decoder_(owner.with().max_packet),
      small_(new std::byte[with.buffer_size]) {}

void member::start_client() {
  carrier_->attach(*this, shared_from_this());
  read();
}

void member::start_server(const codec::gateway::challenge& asked) {
  carrier_->attach(*this, shared_from_this());
  state_ = state::proving;
  asked_ = asked;
  // The first bytes of a connection: a kernel that takes less than 8 of them takes none.
  const bytes said[] = {asked_};
  const auto sent = carrier_->try_write(said);
  if (!sent || *sent != asked_.size())
    return owner_.doom(*this, sent ? error(errc::network, "the challenge could not be sent") : sent.error());
  read();
}

std::string member::text() const {
  const auto who = carrier_->peer().text();
  if (state_ == state::proving) return "somebody at " + who;
  return std::string(role() == session::gateway_role::client ? "client " : "server ") + std::to_string(id()) + " at " +
         who;
}

void member::read() {
  if (reading_ || state_ == state::doomed || is_held()) return;
  reading_ = true;
  if (rest_)
    carrier_->async_read({rest_.data() + rest_size_, rest_.capacity() - rest_size_});
  else
    carrier_->async_read({small_.get(), side_.buffer_size});
}

void member::on_read(result<std::size_t> outcome) {
  reading_ = false;
  if (state_ == state::doomed) return;
  if (!outcome) return owner_.doom(*this, outcome.error());
  if (rest_) {
    rest_size_ += *outcome;
    if (is_incomplete()) return read();
    auto whole = std::move(rest_);
    take({whole.data(), std::exchange(rest_size_, 0)});
  } else if (*outcome == side_.buffer_size) {
    // There may be more, for which the buffer that all share has room.
    const auto large = owner_.large_buffer();
    std::memcpy(large.data(), small_.get(), *outcome);
    const auto more = carrier_->try_read(large.subspan(*outcome));
    take(bytes(large).first(*outcome + (more ? *more : 0)));
  } else {
    take({small_.get(), *outcome});
  }
  read();
}

bool member::is_incomplete() const noexcept {
  if (rest_size_ == rest_.capacity()) return false;
  const bytes have{rest_.data(), rest_size_};
  if (state_ == state::proving) return have.size() < login_size(have);
  const auto next = decoder_.next(have);
  return next && next->consumed == 0;
}

void member::take(bytes data) {
  std::size_t used = 0;
  if (state_ == state::proving) used = take_login(data);
  if (state_ == state::up) {
    const auto packets = take_packets(data.subspan(used));
    if (packets != 0) owner_.heard(*this);
    used += packets;
  }
  if (state_ != state::doomed && used < data.size()) keep(data.subspan(used));
}

std::size_t member::take_login(bytes data) {
  if (data.size() < login_size(data)) return 0;
  const auto said = owner_.check(data, asked_);
  if (!said) {
    owner_.doom(*this, said.error());
    return data.size();
  }
  if (!owner_.arrived(*this, said->server)) return data.size();
  state_ = state::up;
  if (codec::gateway::is_hmac_login(data)) {
    const auto proven = codec::gateway::prove_hmac("gateway", asked_, said->said, said->by->secret);
    if (!send(codec::gateway::encode_welcome(proven), 1)) owner_.doom(*this, errc::no_memory);
  }
  return said->consumed;
}

std::size_t member::take_packets(bytes data) {
  run here{data};
  while (state_ == state::up) {
    const auto next = decoder_.next(data.subspan(here.at));
    if (next && next->consumed == 0) break;
    const bool same = next && here.to != nullptr && next->connection == here.connection;
    // What came before a command goes first: the command may end its virtual connection.
    const bool command = next && next->connection == codec::gateway::k_command_connection;
    if (!same && (!next || command) && !hand_on(here)) return here.begin;
    if (command && owner_.must_wait(*this, next->message)) return here.begin;
    if (!next) {
      owner_.doom(*this, next.error());
      return data.size();
    }
    const auto whom = same ? result<session::gateway_member*>(here.to) : owner_.sort(*this, *next);
    if (!whom || *whom != here.to) {
      if (!hand_on(here)) return here.begin;
      here = {data, here.at, here.at, 0, whom ? *whom : nullptr, next->connection};
    }
    if (!whom) {
      owner_.doom(*this, whom.error());
      return data.size();
    }
    here.connection = next->connection;
    here.at += next->consumed;
    if (*whom != nullptr)
      ++here.packets;
    else
      here.begin = here.at;
  }
  return hand_on(here) ? here.at : here.begin;
}

bool member::hand_on(run& what) {
  if (what.packets == 0) return true;
  if (!owner_.forward(*this, *what.to, what.data.subspan(what.begin, what.at - what.begin), what.packets)) return false;
  what.begin = what.at;
  what.packets = 0;
  return true;
}

// @param take  true: the pool had enough
template <class Take>
bool member::take_memory(const Take& take) {
  while (!take())
    if (!owner_.make_room(*this)) return false;
  return true;
}

void member::keep(bytes rest) {
  std::size_t room = rest.size();
  if (const auto next = decoder_.next(rest); state_ == state::up && next && next->consumed == 0) {
    // Room grows with what came, not with what a length promises.
    const std::size_t whole = next->total == 0 ? codec::gateway::k_header_bytes : next->total;
    room = std::min(whole, 2 * rest.size() + side_.buffer_size);
  } else if (state_ == state::proving) {
    room = login_size(rest);
  }
  room = std::max(room, rest.size() + 1);
  pooled_buffer larger;
  const auto take_room = [&] {
    larger = owner_.buffers().acquire(room);
    return static_cast<bool>(larger);
  };
  if (!take_memory(take_room)) return owner_.doom(*this, error(errc::no_memory, "no room for a packet"));
  std::memcpy(larger.data(), rest.data(), rest.size());
  rest_ = std::move(larger);
  rest_size_ = rest.size();
}

void member::go_on() {
  waits_in = nullptr;
  if (holds == 0) held.end();
  // Somebody on another thread may have stopped a member that was being read: it has kept nothing but the beginning of
  // a packet, of which the rest comes into that place.
  if (state_ == state::doomed || holds != 0 || reading_) return;
  if (rest_) {
    auto whole = std::move(rest_);
    take({whole.data(), std::exchange(rest_size_, 0)});
  }
  read();
}

bool member::fits(std::size_t more, std::size_t packets) const noexcept {
  if (queue_.empty()) return packets <= side_.send_queue;
  return queue_.packets() + packets <= side_.send_queue && queue_.size() + more <= side_.send_queue_bytes;
}

bool member::has_room() const noexcept {
  return queue_.packets() <= side_.send_queue / 2 && queue_.size() <= side_.send_queue_bytes / 2;
}

bool member::append(bytes packets, std::size_t count) {
  return take_memory([&] { return queue_.append(owner_.buffers(), packets, count); });
}

bool member::send(bytes packets, std::size_t count, bool above_limit) {
  if (state_ == state::doomed) return true;
  if (packets.size() >= k_large && queue_.empty() && !waiting_writable_) {
    const bytes all[] = {packets};
    const auto sent = carrier_->try_write(all);
    owner_.wrote(1);
    if (sent && *sent == packets.size()) return true;
    if (!sent && sent.error() != errc::would_block) {
      owner_.doom(*this, sent.error());
      return true;
    }
    // On its way, so it is taken, whatever the limit says: it is what one read brought.
    const auto gone = sent ? *sent : 0;
    const auto keep_rest = [&] { return queue_.append_rest(owner_.buffers(), packets, count, gone); };
    if (!take_memory(keep_rest))
      owner_.doom(*this, error(errc::no_memory, "no room for what has to be sent"));
    else
      wait_writable();
    return true;
  }
  if (!above_limit && !fits(packets.size(), count)) {
    flush();
    if (state_ == state::doomed) return true;
    if (!fits(packets.size(), count) && !queue_.empty()) return false;
  }
  if (!append(packets, count)) {
    owner_.doom(*this, error(errc::no_memory, "no room for what has to be sent"));
    return true;
  }
  if (above_limit) {
    packets_above_ += count;
    bytes_above_ += packets.size();
  }
  if (!waiting_writable_) owner_.flush_later(*this);
  return true;
}

bool member::send(const codec::gateway::command& what, bytes more, bool above_limit) {
  if (state_ == state::doomed) return true;
  const auto wire = encode(what);
  if (!fits(wire.size + more.size(), 1)) flush();
  if (!above_limit && (queue_.packets() >= side_.send_queue + packets_above_ + k_commands_above ||
                       queue_.size() >= side_.send_queue_bytes + bytes_above_ + (1u << 20)))
    return false;
  if (!more.empty()) {
    const auto length = load_le<std::uint32_t>(wire.data.data());
    std::array<std::byte, codec::gateway::k_max_command_packet + k_most_more> longer{};
    store_le(longer.data(), static_cast<std::uint32_t>(length + more.size()));
    std::memcpy(longer.data() + 4, wire.data.data() + 4, wire.size - 4);
    std::memcpy(longer.data() + wire.size, more.data(), more.size());
    if (!append(bytes(longer).first(wire.size + more.size()), 1)) return false;
  } else if (!append(wire.view(), 1)) {
    return false;
  }
  if (!waiting_writable_) owner_.flush_later(*this);
  return true;
}

void member::flush() {
  while (!queue_.empty() && !waiting_writable_ && state_ != state::doomed) {
    const bytes all[] = {queue_.waiting()};
    const auto sent = carrier_->try_write(all);
    owner_.wrote(0);
    if (!sent && sent.error() != errc::would_block) return owner_.doom(*this, sent.error());
    if (sent) queue_.sent(*sent);
    if (!queue_.empty()) wait_writable();
  }
}

void member::wait_writable() {
  waiting_writable_ = true;
  took_ = std::chrono::steady_clock::now();
  blocked.begin();
  carrier_->async_wait_writable();
}

void member::on_writable() {
  waiting_writable_ = false;
  flush();
  if (!waiting_writable_) blocked.end();
  if (!has_room()) return;
  packets_above_ = bytes_above_ = 0;
  if (!held_back.empty() || !held_far.empty()) owner_.drained(*this);
}

void member::end() {
  flush();
  (void)carrier_->shutdown_write();
}

}  // namespace ferry::gateway
