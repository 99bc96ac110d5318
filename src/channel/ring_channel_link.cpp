// How a ring channel comes by a connection, falls asleep, and what it keeps when the connection goes.
#include "channel/ring_channel.hpp"

namespace ferry::detail {
namespace asio = boost::asio;

ring_channel::ring_channel(context& where, shared_url url, std::shared_ptr<const options> with, std::string to)
    : link_channel(where, std::move(url), std::move(with), {true, true}, !to.empty()),
      to_(std::move(to)),
      many_(options_->senders == senders_kind::many),
      view_least_(options_->deliver_empty ? 0 : 1),
      view_span_(options_->copy ? 0 : options_->max_message + 1 - view_least_),
      socket_(where.io()) {
  for (std::uint32_t i = 0; i < (many_ ? options_->sender_rings : 1); ++i)
    lanes_.push_back(std::make_unique<lane>(where.buffers(), options_->batch_bytes));
}

ring_channel::~ring_channel() {
  attempt_.reset();
  abort_connection();
}

void ring_channel::begin_attempt() {
  attempt_ = net::connect_ring(where_.io(), to_, options_, [this](result<std::unique_ptr<net::ring_link>> outcome) {
    const auto keep = this->shared_from_this();
    attempt_.reset();
    if (!outcome) return attempt_failed(outcome.error());
    link_ = std::move(*outcome);
    connected();
  });
}

void ring_channel::start(std::unique_ptr<net::ring_link> connected, std::shared_ptr<void> slot) {
  if (state() == channel_state::closed) return;
  link_ = std::move(connected);
  accepted(std::move(slot));
}

std::optional<peer_info> ring_channel::begin_connection() {
  aborted_ = peer_gone_ = write_blocked_ = bulk_ = false;
  spin_until_.reset();
  write_error_.reset();
  bytes_counted_ = positions_seen_ = 0;
  assemblies_.clear();
  assemblies_.resize(link_->in.size());
  boost::system::error_code refused;
  socket_.assign(link_->socket.get(), refused);
  if (refused) write_error_ = error::from_errno(refused.value(), "watch a socket");
  return link_->peer;
}

// From here on try_send may write into the rings.
void ring_channel::begin_flow() {
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const auto guard = locked(*lanes_[i]);
    lanes_[i]->ring = &link_->out[i];
    lanes_[i]->rest = 0;
  }
  if (write_error_) return;
  watch_socket();
  pump_later();
}

void ring_channel::abort_connection() noexcept {
  straight.shut();
  if (!link_ || std::exchange(aborted_, true)) return;
  for (auto& one : link_->in) one.publish_position();
  // Who has read everything says that it ends. Who has not leaves nothing behind, as if it had died: the kernel makes
  // the same difference for a socket.
  if (has_read_everything()) {
    for (auto& one : lanes_) {
      const auto guard = locked(*one);
      if (one->ring != nullptr) one->ring->end();
    }
  }
  link_->tell_reader();
  if (socket_.is_open()) (void)socket_.release();
  link_->socket.reset();
}

// Inside of a batch the first record of the ring that is looked at is being
// delivered, with what came before it of the same message. A connection whose beginning found no memory has read
// nothing.
bool ring_channel::has_read_everything() const noexcept {
  if (assemblies_.size() != link_->in.size()) return false;
  for (std::size_t i = 0; i < link_->in.size(); ++i) {
    const bool delivers = in_batch_ && i == next_ring_;
    if (assemblies_[i].have != 0 && !(delivers && assemblies_[i].whole)) return false;
    if (link_->holds_more_than(i, delivers ? 1 : 0)) return false;
  }
  return true;
}

link_channel::remains ring_channel::end_connection() {
  remains left;
  left.wanted_to_write = write_blocked_ || write_error_;
  abort_connection();
  count_traffic();
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    lane& one = *lanes_[i];
    const auto guard = locked(one);
    one.ring = nullptr;
    bool cut = false;
    const taken took = one.queue.rewind(cut);
    left.took.messages += took.messages;
    left.took.bytes += took.bytes;
    left.cut_inside = left.cut_inside || cut;
    if (cut) cut_lane_ = i;
    one.rest = 0;
  }
  stats_.writes += link_->wakes.load(std::memory_order_relaxed);
  for (auto& one : link_->in) {
    // Not delivered, and never will be. A producer that goes on writing is not waited for.
    for (std::size_t seen = 0; seen <= link_->in_memory.size();) {
      const ring_record record = one.front();
      if (!record) break;
      seen += record.size + 8;
      left.unread_bytes += record.size;
      one.pop();
    }
  }
  for (const auto& one : assemblies_) left.unread_bytes += one.have;
  if (!in_batch_) assemblies_.clear();
  link_.reset();
  write_blocked_ = false;
  return left;
}

result<void> ring_channel::end_sending() {
  for (auto& one : lanes_) {
    const auto guard = locked(*one);
    one->ring->end();
  }
  link_->tell_reader();
  return {};
}

bytes ring_channel::first_frame() const noexcept {
  const auto guard = locked(*lanes_[cut_lane_]);
  return lanes_[cut_lane_]->queue.first_frame();
}

void ring_channel::drop_first_frame() noexcept {
  const auto guard = locked(*lanes_[cut_lane_]);
  lanes_[cut_lane_]->queue.drop_first_frame();
}

taken ring_channel::drop_queue() noexcept {
  taken dropped;
  for (auto& one : lanes_) {
    const auto guard = locked(*one);
    dropped.messages += one->queue.messages();
    dropped.bytes += one->queue.byte_count();
    one->queue.clear();
  }
  return dropped;
}

// Sleeping ----------------------------------------------------------------------------------------

void ring_channel::rest() {
  if (link_ && !std::exchange(joined_, true))
    sleep_round::of(where_.io()).join({shared_from_this(), static_cast<sleeper*>(this)});
}

bool ring_channel::announce_sleep() {
  if (!link_ || aborted_) return false;
  for (auto& one : link_->in) {
    one.publish_position();
    link_->tell_writer(one);
  }
  if (wants_messages()) link_->we_read.announce(ring::sleeping::on_socket);
  bool waiting = false;
  for (auto& one : lanes_) {
    const auto guard = locked(*one);
    if (!waits(*one)) continue;
    waiting = true;
    // Woken when half of the ring is free: more often would be a system call for every few records.
    const std::uint64_t half = one->ring->ring_bytes() / 2;
    one->ring->line().wake_at.store(one->ring->tail() > half ? one->ring->tail() - half : 1, std::memory_order_relaxed);
  }
  if (waiting) link_->we_wait.announce(ring::sleeping::on_socket);
  return !link_->we_read.fenced();
}

void ring_channel::look_once_more() {
  joined_ = false;
  if (!link_ || aborted_) return;
  if (wants_messages() && link_->something()) {
    link_->we_read.awake();
    pump_later();
  }
  for (auto& one : lanes_) {
    const auto guard = locked(*one);
    if (waits(*one) && has_room(*one)) return post_flush();
  }
}

void ring_channel::watch_socket() {
  socket_.async_wait(asio::posix::descriptor_base::wait_read,
                     [weak = weak_from_this()](const boost::system::error_code& failed) {
                       const auto self = std::static_pointer_cast<ring_channel>(weak.lock());
                       if (self && !failed && self->link_ && !self->aborted_) self->on_socket();
                     });
}

void ring_channel::on_socket() {
  const auto keep = shared_from_this();
  stats_.reads += 1;
  where_.totals().reads.add(1);
  peer_gone_ = !link_->take_wakes();
  peer_gone_ ? straight.shut() : watch_socket();
  link_->we_read.awake();
  if (wants_messages() || peer_gone_) pump();
  if (link_ && write_blocked_) flush_turn();
}

// Making ------------------------------------------------------------------------------------------

std::shared_ptr<channel_impl> make_ring_connecting(context& where, std::string url, std::shared_ptr<const options> with,
                                                   std::string name) {
  return std::make_shared<ring_channel>(where, std::move(url), std::move(with), std::move(name));
}

namespace {

class ring_arrival final : public arrival {
 public:
  explicit ring_arrival(std::unique_ptr<net::ring_link> arrived) : link_(std::move(arrived)) {}
  [[nodiscard]] peer_info peer() const override { return link_->peer; }
  void refuse() noexcept override { link_.reset(); }
  [[nodiscard]] std::shared_ptr<channel_impl> make(context& where, const shared_url& url,
                                                   std::shared_ptr<const options> with) override {
    made_ = std::make_shared<ring_channel>(where, url, std::move(with), "");
    return made_;
  }
  void start(std::shared_ptr<void> slot) override { made_->start(std::move(link_), std::move(slot)); }

 private:
  std::unique_ptr<net::ring_link> link_;
  std::shared_ptr<ring_channel> made_;
};

class acceptor_arrivals final : public arrivals {
 public:
  explicit acceptor_arrivals(std::unique_ptr<net::ring_acceptor> from) : from_(std::move(from)) {}
  [[nodiscard]] result<std::unique_ptr<arrival>> try_accept() override {
    auto arrived = from_->try_accept();
    if (!arrived) return arrived.error();
    return std::unique_ptr<arrival>(std::make_unique<ring_arrival>(std::move(*arrived)));
  }
  void async_wait(std::function<void()> ready) override { from_->async_wait(std::move(ready)); }
  result<void> refuse_new() override { return from_->refuse_new(); }
  void close() noexcept override { from_->close(); }
  [[nodiscard]] std::string local_url() const override { return from_->local_url(); }

 private:
  std::unique_ptr<net::ring_acceptor> from_;
};

}  // namespace

result<std::unique_ptr<arrivals>> ring_arrivals(context& where, const std::string& name,
                                                std::shared_ptr<const options> with) {
  auto opened = net::ring_acceptor::open(where.io(), name, std::move(with));
  if (!opened) return opened.error();
  return std::unique_ptr<arrivals>(std::make_unique<acceptor_arrivals>(std::move(*opened)));
}

}  // namespace ferry::detail
