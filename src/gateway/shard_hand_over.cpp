// What crosses from one thread of a gateway to another. What one says to another arrives in order.
#include <algorithm>
#include <boost/asio/post.hpp>

#include "base/endian.hpp"
#include "gateway/shard.hpp"

namespace ferry::gateway {
namespace {

using session::gateway_role;

// Weight of what is on the way to one other thread; then nobody is read who sends or dials there, until that thread has
// taken it. It never waits for anybody, so that takes as long as it is busy.
constexpr std::size_t k_most_on_the_way = spare_batches::k_most_bytes;
constexpr std::size_t k_large_batch = 128 * 1024;  // handed over at once, not at the end of the turn
constexpr std::size_t k_first_bytes = 4096, k_first_notes = 64;

constexpr gateway_role other(gateway_role role) noexcept {
  return role == gateway_role::client ? gateway_role::server : gateway_role::client;
}

}  // namespace

void shard::meet(const std::vector<std::shared_ptr<shard>>& all) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto& one = neighbours_.emplace_back();
    if (i == index_) continue;
    one = std::make_unique<neighbour>();
    one->who = all[i].get();
    for (const auto role : {gateway_role::client, gateway_role::server}) {
      auto& members = role == gateway_role::client ? one->clients : one->servers;
      members.over = one.get();
      table_.add_remote(members, role);
    }
  }
}

session::gateway_directory::dialled shard::dial(gateway_role role, std::uint32_t id) {
  const auto found = shared_->dial(index_, role, id);
  if (found.what != answer::found) return {found.what};
  if (found.to.thread == index_) return {found.what, found.number, found.to.who};
  auto& over = *neighbours_[found.to.thread];
  return {found.what, found.number, role == gateway_role::client ? &over.clients : &over.servers};
}

void shard::note(session::gateway_member& to, batch::note what, bytes data) {
  auto& over = *static_cast<remote_members&>(to).over;
  what.of = other(to.role());
  what.size = data.size();
  run_later();
  if (!over.open) {
    over.open = over.next_batch();
    over.open->from = index_;
    over.open->began = turn_began_;
  }
  over.open->notes.push_back(what);
  over.open->data.insert(over.open->data.end(), data.begin(), data.end());
  if (over.open->weight() >= k_large_batch) publish(over);
}

std::unique_ptr<batch> shard::neighbour::next_batch() {
  for (batch* next = spent.take(); next != nullptr;) {
    std::unique_ptr<batch> one(std::exchange(next, next->next));
    spares.put(std::move(one));
  }
  if (auto one = spares.take()) return one;
  auto made = std::make_unique<batch>();
  made->notes.reserve(k_first_notes);
  made->data.reserve(k_first_bytes);
  return made;
}

void shard::publish(neighbour& to) {
  if (!to.open) return;
  to.on_the_way.fetch_add(to.open->weight(), std::memory_order_relaxed);
  if (!to.who->inbox_.put(std::move(to.open))) return;
  boost::asio::post(to.who->where_.io(), [weak = to.who->weak_from_this()] {
    if (const auto self = weak.lock()) self->take_inbox();
  });
}

bool shard::hand_over(member& from, remote_members& to, bytes packets, std::size_t count) {
  (void)count;  // by whoever sends them on
  if (from.holds != 0) return false;
  if (waits_for_thread(*to.over, from)) return false;
  note(to, {batch::kind::packets}, packets);
  return true;
}

bool shard::waits_for_thread(neighbour& over, member& from) {
  const auto begun = over.open ? over.open->weight() : 0;
  if (over.on_the_way.load(std::memory_order_relaxed) + begun < k_most_on_the_way) return false;
  wait_in(over.held_back, from);
  if (!std::exchange(over.asked_for_room, true)) note(over.clients, {batch::kind::ask_for_room});
  return true;
}

void shard::dial_through(session::gateway_member& to, std::uint32_t number, std::uint32_t from, std::uint32_t remote) {
  std::string address;
  if (settings_.connect_address && to.role() == gateway_role::server)
    address = talking_->address().substr(0, member::k_most_more);
  note(to, {.what = batch::kind::dial, .number = number, .from = from, .remote = remote}, as_bytes(address));
}

void shard::take_inbox() {
  for (batch* next = inbox_.take(); next != nullptr;) {
    std::unique_ptr<batch> one(std::exchange(next, next->next));
    auto& from = *neighbours_[one->from];
    if (!closed_) hear(from, *one);
    auto& there = *from.who->neighbours_[index_];
    there.on_the_way.fetch_sub(one->weight(), std::memory_order_relaxed);
    one->clear();
    (void)there.spent.put(std::move(one));  // nobody waits for it
  }
}

void shard::hear(neighbour& from, const batch& what) {
  if (!later_) {
    run_later();
    turn_began_ = what.began;
  }
  std::size_t at = 0;
  for (const auto& one : what.notes) {
    auto& members = one.of == gateway_role::client ? from.clients : from.servers;
    const auto data = bytes(what.data).subspan(at, one.size);
    at += one.size;
    switch (one.what) {
      case batch::kind::packets: deliver(members, data); break;
      case batch::kind::dial:
        if (one.of == gateway_role::client) say_if_full(members, one.remote);
        far_address_ = as_text(data);
        table_.connect(members, one.number, one.from, one.remote, *this);
        far_address_.reset();
        break;
      case batch::kind::close: table_.close_half(members, one.number, *this); break;
      case batch::kind::hold: hold(members, one.number); break;
      case batch::kind::go_on: let_go(one.number); break;
      case batch::kind::full: from.full.try_emplace(one.remote); break;
      case batch::kind::has_room: dials_go_on(one.remote); break;
      case batch::kind::ask_for_room: note(members, {batch::kind::room}); break;
      case batch::kind::room:
        from.asked_for_room = false;
        all_go_on(from.held_back);
        break;
    }
  }
}

void shard::deliver(remote_members& from, bytes packets) {
  const auto number_at = [&](std::size_t at) {
    return load_le<std::uint32_t>(packets.data() + at + codec::gateway::k_length_bytes);
  };
  for (std::size_t at = 0; at < packets.size();) {
    const auto begin = at;
    const auto number = number_at(begin);
    std::size_t count = 0;
    do {
      at += codec::gateway::k_length_bytes + load_le<std::uint32_t>(packets.data() + at);
      ++count;
    } while (at < packets.size() && number_at(at) == number);
    // Nobody: closed meanwhile, of which who sent it is being told.
    if (auto* const to = table_.other_end(from, number))
      deliver_to(static_cast<member&>(*to), from, number, packets.subspan(begin, at - begin), count);
  }
}

void shard::deliver_to(member& to, remote_members& from, std::uint32_t number, bytes packets, std::size_t count) {
  if (to.is_doomed()) return;
  if (!to.send(packets, count)) {
    if (settings_.when_full == overflow::close || from.role() == gateway_role::server) return too_slow(to);
    // It is here and nowhere else, so it is taken. Nothing more comes once that client is held.
    (void)to.send(packets, count, true);
    const std::pair<session::gateway_member*, std::uint32_t> sender(&from, number);
    if (std::find(to.held_far.begin(), to.held_far.end(), sender) == to.held_far.end()) {
      ++counts_.held_back;
      to.held_far.push_back(sender);
      note(from, {.what = batch::kind::hold, .number = number});
    }
  }
  count_forwarded(from.role(), count, packets.size());
}

void shard::drained(member& who) {
  for (const auto& [through, number] : std::exchange(who.held_far, {}))
    if (number == 0)
      note(*through, {.what = batch::kind::has_room, .remote = who.id()});
    else
      note(*through, {.what = batch::kind::go_on, .number = number});
  all_go_on(who.held_back);
}

void shard::hold(remote_members& by, std::uint32_t number) {
  auto* const to = table_.other_end(by, number);
  if (to == nullptr) return;
  auto& who = static_cast<member&>(*to);
  if (!held_.emplace(number, &who).second) return;
  ++who.holds;
  who.held.begin();
}

void shard::let_go(std::uint32_t number) {
  const auto at = held_.find(number);
  if (at == held_.end()) return;
  auto& who = *at->second;
  held_.erase(at);
  if (--who.holds != 0) return;
  to_go_on_.push_back(&who);  // not now: the table may be at work
  run_later();
}

void shard::forget_holds(member& who) {
  if (std::exchange(who.holds, 0) != 0) std::erase_if(held_, [&](const auto& one) { return one.second == &who; });
  std::erase(to_go_on_, &who);
}

}  // namespace ferry::gateway
