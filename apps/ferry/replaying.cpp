#include "apps/ferry/replaying.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <utility>

#include "channel/option_value.hpp"

namespace ferry::app {
namespace {

constexpr std::size_t k_buffer = 64u << 10;
constexpr std::size_t k_before = 8, k_shown = 32;  // bytes around a difference

std::vector<std::byte> some_of(bytes from, std::uint64_t begin) {
  const auto at = static_cast<std::size_t>(std::min<std::uint64_t>(begin, from.size()));
  const auto view = from.subspan(at, std::min(k_shown, from.size() - at));
  return {view.begin(), view.end()};
}

std::string shown_bytes(const std::vector<std::byte>& what) {
  std::string hex, text;
  char two[4];
  for (const auto b : what) {
    const auto value = std::to_integer<unsigned>(b);
    std::snprintf(two, sizeof two, "%02x ", value);
    hex += two;
    text += value >= ' ' && value < 127 ? static_cast<char>(value) : '.';
  }
  hex.resize(k_shown * 3, ' ');
  return hex + "|" + text + "|";
}

}  // namespace

replaying::replaying(context& where, const codec::captured_flow& flow, const replay_rules& rules, done_handler done)
    : where_(where),
      flow_(flow),
      rules_(rules),
      done_(std::move(done)),
      view_(rules.spoken),
      buffer_(k_buffer),
      due_(where.io()),
      patience_(where.io()) {
  if (rules_.as == codec::flow_side::server && rules_.spoken == replay_view::protocol::http_then_websocket)
    upgrade_.emplace(flow_);
  expect_all();
}

replaying::~replaying() {
  if (stream_) stream_->close();
}

// The capture's answers in the form in which they are compared.
void replaying::expect_all() {
  replay_view recorded(rules_.spoken);
  for (const auto& piece : flow_.pieces) {
    std::vector<std::byte> copy(piece.data.begin(), piece.data.end());
    recorded.pass(piece.from, copy);
    if (piece.from != rules_.as) expected_.insert(expected_.end(), copy.begin(), copy.end());
  }
  outcome_.expected = expected_.size();
}

void replaying::start(std::shared_ptr<stream> on) {
  stream_ = std::move(on);
  begin_ = clock::now();
  stream_->attach(*this, nullptr);
  progress();
  read_on();
  boost::asio::post(where_.io(), [this] { go_on(); });
}

void replaying::read_on() { stream_->async_read(buffer_); }

void replaying::on_read(result<std::size_t> outcome) {
  if (!outcome) {
    peer_ended_ = true;
    if (outcome.error() != errc::end_of_stream && !flow_.reset && !rules_.ignore_answers)
      return finish(outcome.error());
    return go_on();
  }
  compare(bytes(buffer_).first(*outcome));
  progress();
  read_on();
  go_on();
}

void replaying::on_writable() {
  writable_ = true;
  progress();
  go_on();
}

void replaying::compare(bytes live) {
  const auto begin = outcome_.received;
  std::vector<std::byte> copy = upgrade_ ? upgrade_->read(live) : std::vector<std::byte>(live.begin(), live.end());
  outcome_.received += copy.size();
  view_.pass(codec::other(rules_.as), copy);
  if (outcome_.differs || rules_.ignore_answers) return;
  const auto at = static_cast<std::size_t>(std::min<std::uint64_t>(begin, expected_.size()));
  const bytes wanted = bytes(expected_).subspan(at, std::min(copy.size(), expected_.size() - at));
  const auto same =
      static_cast<std::size_t>(std::mismatch(wanted.begin(), wanted.end(), copy.begin()).first - wanted.begin());
  if (same == copy.size()) return;
  const auto offset = begin + same;
  // What came before is the same on both sides.
  const auto from = offset - std::min<std::uint64_t>(k_before, offset);
  replay_difference found{offset, some_of(expected_, from), {}, from};
  found.received = found.recorded;
  found.received.resize(static_cast<std::size_t>(offset - from));
  const auto now = some_of(copy, same);
  found.received.insert(found.received.end(), now.begin(),
                        now.begin() + static_cast<std::ptrdiff_t>(std::min(now.size(), k_shown - k_before)));
  outcome_.differs = std::move(found);
}

bool replaying::is_due(const codec::flow_piece& piece) {
  if (rules_.speed <= 0) return true;
  const auto since = piece.time - std::min(piece.time, flow_.pieces.front().time);
  const double seconds = std::min(static_cast<double>(since) / 1e9 / rules_.speed, 1e6);
  const auto due = begin_ + std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
  if (clock::now() >= due) return true;
  patience_.cancel();
  due_.expires_at(due);
  due_.async_wait([this](const boost::system::error_code& cancelled) {
    if (cancelled) return;
    progress();
    go_on();
  });
  return false;
}

bytes replaying::what_is_sent(const codec::flow_piece& piece) {
  const bytes rest = piece.data.subspan(taken_);
  if (!upgrade_) return rest;
  patched_.assign(rest.begin(), rest.end());
  upgrade_->answer(outcome_.sent, patched_);
  return patched_;
}

bool replaying::send_piece(const codec::flow_piece& piece) {
  if (taken_ == 0 && !is_due(piece)) return false;
  if (upgrade_ && !upgrade_->is_ready(outcome_.sent, piece.data.size() - taken_)) return false;
  while (taken_ < piece.data.size()) {
    const bytes rest = what_is_sent(piece);
    const auto n = stream_->try_write({&rest, 1});
    if (!n && n.error() == errc::would_block) {
      writable_ = false;
      stream_->async_wait_writable();
      return false;
    }
    if (!n) {
      finish(n.error());
      return false;
    }
    std::vector<std::byte> copy(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(*n));
    view_.pass(rules_.as, copy);
    taken_ += *n;
    outcome_.sent += *n;
    progress();
  }
  taken_ = 0;
  return true;
}

void replaying::go_on() {
  while (done_ && writable_ && at_ < flow_.pieces.size()) {
    const auto& piece = flow_.pieces[at_];
    if (piece.from != rules_.as) {
      needed_ += piece.data.size();
    } else {
      if (!rules_.ignore_answers && outcome_.received < needed_ && !outcome_.differs && !peer_ended_) return;
      if (outcome_.differs) return finish();
      if (peer_ended_ && !rules_.ignore_answers)
        return finish(error(errc::end_of_stream, "the other end closed before everything was sent"));
      if (!send_piece(piece)) return;
    }
    at_ += 1;
  }
  if (done_ && writable_ && at_ == flow_.pieces.size()) end_if_done();
}

void replaying::end_if_done() {
  if (outcome_.differs) return finish();
  if ((flow_.ended[codec::index_of(rules_.as)] || rules_.ignore_answers) && !std::exchange(told_end_, true))
    static_cast<void>(stream_->shutdown_write());
  if (peer_ended_) return finish();
  if (rules_.ignore_answers || outcome_.received < needed_) return;  // until the other side ends, or has sent it
  // Where the capture does not say how it ended, everything has been seen.
  if (!flow_.ended[codec::index_of(codec::other(rules_.as))]) return finish();
}

void replaying::progress() {
  if (!done_) return;
  patience_.expires_after(rules_.patience);
  patience_.async_wait([this](const boost::system::error_code& cancelled) {
    if (cancelled || !done_) return;
    if (rules_.ignore_answers && told_end_) return finish();
    finish(error(errc::timeout,
                 "nothing came for " +
                     format_whole(option_unit::duration, static_cast<std::uint64_t>(rules_.patience.count())) + ": " +
                     std::to_string(outcome_.received) + " of " + std::to_string(outcome_.expected) +
                     " bytes of answers are here"));
  });
}

void replaying::finish(std::optional<error> failed) {
  if (!done_) return;
  due_.cancel();
  patience_.cancel();
  outcome_.failed = std::move(failed);
  if (!outcome_.failed && !outcome_.differs && !rules_.ignore_answers && outcome_.received < outcome_.expected) {
    const auto from = outcome_.received - std::min<std::uint64_t>(k_before, outcome_.received);
    replay_difference found{outcome_.received, some_of(expected_, from), {}, from};
    found.received = found.recorded;
    found.received.resize(static_cast<std::size_t>(outcome_.received - from));
    outcome_.differs = std::move(found);
  }
  if (stream_) stream_->close();
  std::exchange(done_, nullptr)(outcome_);
}

std::string to_text(const replay_difference& found) {
  return "the answers differ at offset " + std::to_string(found.offset) + "; from offset " +
         std::to_string(found.begin) + ":\n  recorded  " + shown_bytes(found.recorded) + "\n  received  " +
         shown_bytes(found.received);
}

}  // namespace ferry::app
