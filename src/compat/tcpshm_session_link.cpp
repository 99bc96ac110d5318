#include "compat/tcpshm_session_link.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "os/barrier.hpp"
#include "os/random.hpp"
#include "os/socket.hpp"

namespace ferry::compat::tcpshm {
namespace {

constexpr std::size_t k_largest_size = 65535;  // that 16 bits say
constexpr std::size_t k_most_said = ~std::uint32_t{0};

std::error_code misuse() noexcept { return to_std(errc::misuse); }

sequence_mismatch numbers_of(const session::mismatch& m) {
  return {m.local.ack, m.local.start, m.local.end, m.remote.ack, m.remote.start, m.remote.end};
}

// What our side writes, without the detour of an error; type 0: it is something else.
message_view typed_message(const ring_record& record) noexcept {
  if (record.marks != ring_marks::tagged || record.size < sizeof(ring_tag) + 8) return {};
  const bytes body = record.body();
  ring_tag tag{};
  std::memcpy(&tag, body.data(), sizeof tag);
  const message_view m{body.subspan(sizeof tag + 8), message_kind::binary, tag.type};
  return tag.reserved == 0 && tag.remaining == m.payload.size() ? m : message_view{};
}

join_outcome failed(const error& why) {
  join_outcome made;
  made.how = join_outcome::kind::file_error;
  made.why = why;
  return made;
}

}  // namespace

session_link::session_link(const settings& how, std::string remote_name)
    : link(how, std::move(remote_name)), stream_(how), most_(how.with.max_message) {}

// Messages ------------------------------------------------------------------------------------------------------------

message_header* session_link::alloc(std::size_t size) noexcept {
  writing_ = nullptr;
  if (!store_ || disk_failed_ || size > most_ || size > session().max_payload()) return nullptr;
  std::byte* body = small_.body.data();
  if (size > k_small || !session().prepared(1)) {
    std::byte* const in_ring = session().reserve(size, 1);  // with a type, which may come to nothing later
    if (in_ring == nullptr) [[unlikely]] {
      if (!memory_) stream_.want_room();
      return nullptr;
    }
    if (size > k_small) body = in_ring;
  }
  const std::size_t whole = size + sizeof(message_header);
  writing_size_ = size;
  writing_ = new (body - sizeof(message_header)) message_header;
  writing_->size = static_cast<std::uint16_t>(std::min(whole, k_largest_size));
  writing_->msg_type = 0;
  writing_->ack_seq = whole > k_largest_size ? static_cast<std::uint32_t>(whole) : 0;
  return writing_;
}

std::error_code session_link::push(bool more) noexcept {
  if (writing_ == nullptr) return misuse();
  const message_view m{{writing_->body(), writing_size_}, message_kind::binary, writing_->msg_type};
  writing_ = nullptr;
  if (!more && m.payload.size() <= k_small && session().prepared(m.type)) [[likely]] {
    (void)session().commit_with(m);
  } else if (!put(m, more)) {
    damaged();
    return to_std(errc::corrupt);
  }
  if (more) return {};
  committed();
  if (is_closed()) return {};
  if (memory_)
    memory_->tell_reader();
  else if (!uses_shm())
    stream_.flush(session());
  return {};
}

bool session_link::put(const message_view& m, bool more) noexcept {
  auto& s = session();
  // There was room, and nobody else takes it: only a peer that breaks the rules takes it away.
  std::byte* const to = s.reserve(m.payload.size(), m.type);
  if (to == nullptr) return false;
  if (m.payload.size() <= k_small && !more) {
    (void)s.commit_with(m);
    return true;
  }
  // A large one lies there already, unless it has no type, which moves it.
  if (to != m.payload.data() && !m.payload.empty()) std::memmove(to, m.payload.data(), m.payload.size());
  s.stage(m.payload.size());
  if (!more) (void)s.commit();
  return true;
}

const message* session_link::front() {
  if (is_closed()) return nullptr;
  if (has_front_) return &front_;
  if (!memory_) return front_of_stream();
  const ring_record record = session().front();
  if (!record) [[likely]]
    return nothing_came();
  if (const auto m = typed_message(record); m.type != 0 && m.payload.size() <= how_->with.max_message) [[likely]]
    return show(m);
  return other_than_ours(record);
}

const message* session_link::front_of_stream() {
  const auto found = stream_.front();
  return found ? show(*found) : nullptr;
}

const message* session_link::nothing_came() {
  auto& s = session();
  s.input().look_ahead();
  if (s.input().corrupt() || memory_->torn()) [[unlikely]]
    damaged();
  memory_->tell_writer(s);
  return nullptr;
}

const message* session_link::other_than_ours(const ring_record& record) {
  const auto m = session::message_of(record);
  if (m && m->payload.size() <= how_->with.max_message) return show(*m);
  give_up({m ? "a message of " + std::to_string(m->payload.size()) + " bytes came; max_message is " +
                   std::to_string(how_->with.max_message)
             : m.error().text()});
  return nullptr;
}

void session_link::pop() noexcept {
  if (!has_front_) return;
  has_front_ = false;
  if (memory_) {
    session().pop();
  } else {
    stream_.pop();
    session().pop_elsewhere();
  }
}

connection::progress session_link::where() const noexcept {
  if (!store_) return {};
  return {session().input().sequence(), session().output().sequence()};
}

std::size_t session_link::unacknowledged() const noexcept {
  if (!store_) return 0;
  const auto& out = session().output();
  return out.tail() - out.seen();
}

void session_link::commit_open() noexcept {
  if (!session().open()) return;
  (void)session().commit();
  committed();
  if (memory_ && !is_closed()) memory_->tell_reader();
}

// Before it is live, a connection belongs to the other thread, and who waits for room is told by the first look.
void session_link::committed() noexcept {
  if (!memory_)
    stream_.committed();
  else if (!is_closed())
    memory_->tell_writer(session());
}

// The disk ------------------------------------------------------------------------------------------------------------

// Everything committed becomes durable, visible, and may be acknowledged. It blocks.
result<void> session_link::sync() {
  if (!on_disk()) return {};
  auto done = session::sync_all(session(), store_->disk());
  disk_failed_ = !done;
  return done;
}

result<void> session_link::commit_for_good() {
  (void)session().commit();
  return sync();
}

// @return whether the connection goes on
bool session_link::sync_in_poll() {
  const auto done = sync();
  if (!done) give_up({done.error().text(), done.error().system_errno()});
  return static_cast<bool>(done);
}

void session_link::damaged() { give_up({"the peer has damaged the shared memory"}); }

// A poll --------------------------------------------------------------------------------------------------------------

void session_link::begin_step() noexcept {
  has_front_ = false;
  commit_open();
}

void session_link::begin_look() {
  begin_step();
  if (!std::exchange(fresh_, false)) return;
  memory_->tell_reader();
  memory_->tell_writer(session());
}

void session_link::begin_turn(std::int64_t now) {
  begin_step();
  stream_.tick(now);
  stream_.receive();
  stream_.flush(session());
}

bool session_link::delivered() {
  const bool popped = !has_front_;
  commit_open();
  return popped;
}

void session_link::undo() noexcept {
  session().abort();
  stream_.rewind();
  has_front_ = false;
  writing_ = nullptr;
}

void session_link::end_turn() {
  if (!sync_in_poll()) return;
  if (!stream_.over()) stream_.tend(session(), has_front_);
  if (store_->torn()) stream_.end("a file of the session was cut off");
  if (session().output().corrupt()) damaged();
  if (stream_.over()) give_up(*stream_.over());
}

void session_link::end_look() {
  auto& s = session();
  if (!sync_in_poll()) return;
  if (on_disk() && memory_) {
    memory_->tell_reader();
    memory_->tell_writer(s);
  }
  if (store_->torn()) return give_up({"a file of the session was cut off"});
  if (s.output().corrupt()) return damaged();
  if (!peer_ended_.load(std::memory_order_acquire) || has_front_ || s.input().something()) return;
  s.publish_position();
  memory_->tell_writer(s);
  if (s.look() != s.output().tail()) return;
  memory_->say(k_ends);
  give_up({"the peer has closed the connection"});
}

// What the application has popped and staged is committed, whatever has become of the connection.
void session_link::detach() noexcept {
  has_front_ = false;
  if (store_) commit_open();
  if (store_ && !disk_failed_) (void)sync();  // whoever opens the files next finds out what has failed
  if (memory_) session().detach_input();
  memory_.reset();
  stream_.forget();
}

void session_link::give_back() noexcept {
  detach();
  writing_ = nullptr;
  store_.reset();
  mapped_its_ring_ = false;
  disk_failed_ = false;
}

// Logins --------------------------------------------------------------------------------------------------------------

result<void> session_link::open_store() {
  if (store_ && (store_->torn() || session().corrupt() || disk_failed_)) give_back();
  if (store_) return {};
  const std::string& peer = remote_name_.empty() || request_.as_client ? how_->with.peer : remote_name_;
  auto opened = os::session_store::open(
      how_->directory, {how_->local_name, peer},
      {how_->with.ring_bytes, on_disk() ? session::durability::disk : session::durability::process, false});
  if (!opened) return opened.error();
  store_ = std::move(*opened);
  return {};
}

session::local_side session_link::self() {
  const auto& who = store_->who();
  session::local_side side{who.own_name, how_->with.peer, session().session(), session().epoch(), {}};
  if (!request_.as_client) side.peer_name = who.peer_name;
  if (const auto range = session().range()) side.range = *range;
  return side;
}

join_outcome session_link::prepare_login() {
  detach();
  writing_ = nullptr;
  request_ = {};
  request_.as_client = true;
  if (const auto opened = open_store(); !opened) return failed(opened.error());
  auto& s = session();
  // The number of this login must survive before anybody hears it.
  s.identify(s.session(), s.epoch() + 1);
  if (const auto kept = commit_for_good(); !kept) return failed(kept.error());
  const auto range = s.range();
  if (!range) return failed(range.error());
  const auto& who = store_->who();
  remote_name_ = who.peer_name;
  sent_ = {session::login_outcome::none, s.session(),   s.epoch(), *range, who.own_name, who.peer_name, {},
           os::barriers_work(),          most_we_take()};
  join_outcome made;
  made.login = sent_;
  return made;
}

int session_link::shared_fd() const noexcept { return store_ && uses_shm() ? store_->ring_fd() : -1; }

join_outcome session_link::join_now() {
  detach();
  writing_ = nullptr;
  return request_.as_client ? join_as_client() : join_as_server();
}

join_outcome session_link::join_as_client() {
  const auto& answer = request_.said;
  const auto decision = session::decide_answer(self(), sent_, answer);
  join_outcome made;
  made.login = answer;
  made.why = decision.why;
  if (decision.action == session::login_action::restart && how_->with.peer.empty()) {
    discarded_ += decision.discarded;
    const auto begun = session().reset({os::random_u64() | 1, 0, 0, true});
    auto met = begun ? sync() : result<void>(begun.error());
    if (met) met = meet(answer);
    if (!met) return failed(met.error());
    made.how = join_outcome::kind::again;
  } else if (decision.action == session::login_action::resume) {
    store_->forget_mismatch();
    auto met = meet(answer);
    if (met) met = attach();
    if (!met) return failed(met.error());
  } else if (decision.numbers) {
    store_->note_mismatch(*decision.numbers, answer.session);
    made.how = join_outcome::kind::mismatch;
    made.numbers = numbers_of(*decision.numbers);
  } else {
    made.how = join_outcome::kind::refused;
  }
  return made;
}

// Keeps the name of the server that was met first.
result<void> session_link::meet(const session::login& answer) {
  if (const auto named = store_->name_peer(answer.own_name); !named) return named.error();
  remote_name_ = answer.own_name;
  return {};
}

join_outcome session_link::join_as_server() {
  if (const auto opened = open_store(); !opened) return failed(opened.error());
  auto& s = session();
  const auto us = self();
  const auto& said = request_.said;
  session::login now = said;
  // It may have sent more since, and through a connection of before we may have consumed that. It has its newest
  // numbers at hand when it reads our answer.
  if (mapped_its_ring_) now.range.end = std::max(said.range.end, us.range.ack);
  auto decision = session::decide_login(us, now);
  if (decision.numbers) decision.numbers->remote = said.range;
  join_outcome made;
  made.login = decision.answer;
  made.why = decision.why;
  if (decision.action == session::login_action::stop) {
    made.how = decision.numbers ? join_outcome::kind::mismatch : join_outcome::kind::refused;
    if (!decision.numbers) return made;
    store_->note_mismatch(*decision.numbers, said.session);
    made.numbers = numbers_of(*decision.numbers);
    return made;
  }
  if (decision.action == session::login_action::begin) {
    discarded_ += decision.discarded;
    if (const auto reset = s.reset({said.session, 0, 0, true}); !reset) return failed(reset.error());
    if (const auto kept = sync(); !kept) return failed(kept.error());
  }
  s.identify(said.session, said.epoch);
  if (const auto kept = commit_for_good(); !kept) return failed(kept.error());
  store_->forget_mismatch();
  made.login.barriers = os::barriers_work();
  made.login.max_message = most_we_take();
  if (const auto attached = attach(); !attached) {
    made.how = join_outcome::kind::refused;
    made.why = attached.error();
    made.login.outcome = session::login_outcome::refused;
    made.login.text = attached.error().text();
  }
  return made;
}

// Never 0, which says nothing.
std::uint32_t session_link::most_we_take() const noexcept {
  return static_cast<std::uint32_t>(std::clamp<std::size_t>(how_->with.max_message, 1, k_most_said));
}

result<void> session_link::attach() {
  most_ = how_->with.max_message;
  if (request_.said.max_message != 0) most_ = std::min<std::size_t>(most_, request_.said.max_message);
  if (!uses_shm()) return stream_.attach(session(), request_.said.range.ack);
  auto made = session_memory::attach(*store_, request_.ring, request_.said.barriers);
  request_.ring.reset();
  if (!made) return made.error();
  memory_ = std::move(*made);
  fresh_ = true;
  mapped_its_ring_ = true;
  return {};
}

// The CTL thread ------------------------------------------------------------------------------------------------------

void session_link::open(os::unique_fd fd, std::int64_t now) {
  if (!uses_shm()) return stream_.open(std::move(fd), now);
  peer_ended_.store(false, std::memory_order_relaxed);
  beside_over_.reset();
  os::unique_fd for_waking(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!for_waking) beside_over_ = ending{"no descriptor is left", errno};
  memory_->open(std::move(for_waking));
  beside_ = std::move(fd);
}

void session_link::shut() noexcept {
  if (!uses_shm()) return stream_.close();
  if (beside_) ::shutdown(beside_.get(), SHUT_RDWR);  // the polling thread has another descriptor of it
  beside_.reset();
  beside_over_.reset();
}

// The kernel tells when the peer dies; what it has left in its ring comes after the next login.
void session_link::tend(std::int64_t) {
  if (beside_over_) return;
  std::array<std::byte, 256> said;  // NOLINT: only what was received is looked at
  const auto got = os::receive(beside_.get(), said);
  if (got) {
    if (std::find(said.begin(), said.begin() + static_cast<std::ptrdiff_t>(*got), k_ends) !=
        said.begin() + static_cast<std::ptrdiff_t>(*got))
      peer_ended_.store(true, std::memory_order_release);
  } else if (got.error() == errc::end_of_stream) {
    beside_over_ = ending{"the peer has closed the connection"};
  } else if (got.error() != errc::would_block) {
    beside_over_ = ending{got.error().text(), got.error().system_errno()};
  }
}

}  // namespace ferry::compat::tcpshm
