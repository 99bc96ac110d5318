#include "channel/tcpshm_session_files.hpp"

#include <memory>
#include <utility>

#include "channel/fail.hpp"
#include "os/tcpshm_list.hpp"

namespace ferry::detail {
namespace {

using codec::tcpshm::range;
using os::tcpshm::held_queue;

constexpr std::uint64_t k_numbers = std::uint64_t{1} << 32;

os::session_names names_of(const session_key& which) { return {which.as, which.peer}; }

session_counts counts_of(const range& numbers) { return {numbers.ack, numbers.start, numbers.end}; }

session_report report_of(const std::string& dir, const os::tcpshm::queue_summary& seen) {
  session_report told;
  told.key = {dir, seen.names.own, seen.names.peer, session_format::tcpshm};
  told.peer = seen.names.peer;
  told.in_use = seen.in_use;
  told.counts = counts_of(seen.range);
  told.unacknowledged_bytes = seen.unacknowledged_bytes;
  told.ring_bytes = seen.queue_bytes;
  told.file_bytes = seen.bytes;
  if (seen.mismatch) told.mismatch = mismatch_of(*seen.mismatch);
  if (seen.damage) told.damage = seen.damage->text();
  return told;
}

void bring_to_disk(const held_queue& queue) {
  or_fail(queue.file.sync(queue.path));
  if (queue.file.torn()) fail(error(errc::truncated, queue.path + " was cut off"));
}

void forget_mismatch(const std::string& queue_path) { os::remove_note(os::tcpshm::note_path(queue_path)); }

// How far it is from one number to another, forwards; less than 2^31 if that is shorter than backwards.
std::int32_t distance(std::uint32_t from, std::uint32_t to) { return static_cast<std::int32_t>(to - from); }

std::uint32_t nearest(const range& in, std::uint32_t number) {
  if (session::within(in.start, number, in.end)) return number;
  return distance(in.start, number) < 0 ? in.start : in.end;
}

range range_of(const session_counts& counts) {
  const bool fit = counts.consumed < k_numbers && counts.acknowledged < k_numbers && counts.sent < k_numbers;
  const range numbers{static_cast<std::uint32_t>(counts.consumed), static_cast<std::uint32_t>(counts.acknowledged),
                      static_cast<std::uint32_t>(counts.sent)};
  if (fit && distance(numbers.start, numbers.end) >= 0) return numbers;
  throw failure(errc::bad_option, 0,
                "the other side cannot have sent " + std::to_string(counts.sent) + " messages of which " +
                    std::to_string(counts.acknowledged) + " were acknowledged, and want number " +
                    std::to_string(counts.consumed) + ": numbers of tcpshm have 32 bits");
}

// A client begins anew where it knows no server.
void forget_server(const std::string& dir, const session_key& which) {
  if (or_fail(os::tcpshm::peek_last_server(dir, which.as)) == which.peer)
    or_fail(os::tcpshm::remove_last_server(dir, which.as));
}

bool is_damage(const error& why) { return why == errc::corrupt || why == errc::truncated; }

}  // namespace

void list_tcpshm(const std::string& dir, std::vector<session_report>& into) {
  for (const auto& seen : or_fail(os::tcpshm::list_queues(dir))) into.push_back(report_of(dir, seen));
}

session_report show_tcpshm(const std::string& dir, const session_key& which) {
  return report_of(dir, or_fail(os::tcpshm::look_at_queue(dir, names_of(which))));
}

// The server's name goes first: a client that dies between begins anew, and gives up what is in its queue then.
mending_report reset_tcpshm(const std::string& dir, const session_key& which, mending how) {
  auto held = os::tcpshm::hold_queue(dir, names_of(which));
  if (!held && !is_damage(held.error())) fail(held.error());
  mending_report told;
  told.damaged = !held;
  const auto queue = held ? std::move(*held) : nullptr;
  if (queue) told.discarded = queue->at.range().end - queue->at.range().start;
  if (how == mending::preview) return told;
  forget_server(dir, which);
  if (queue) {
    queue->at.give_up(0);
    queue->at.want(0);
    bring_to_disk(*queue);
  } else {
    // Before the queue: without one there is nothing that could be reset again.
    forget_mismatch(os::tcpshm::queue_path(dir, which.as, which.peer));
    or_fail(os::tcpshm::remove_queue(dir, names_of(which)));
  }
  or_fail(os::sync_directory(dir));
  if (queue) forget_mismatch(queue->path);
  return told;
}

mending_report skip_tcpshm(const std::string& dir, const session_key& which, std::uint64_t messages, mending how) {
  const auto queue = or_fail(os::tcpshm::hold_queue(dir, names_of(which)));
  const range ours = queue->at.range();
  const auto next = static_cast<std::uint32_t>(ours.ack + messages);
  mending_report told;
  told.skipped = messages;
  told.counts = {next, ours.start, ours.end};
  if (how == mending::preview) return told;
  queue->at.want(next);
  bring_to_disk(*queue);
  return told;
}

// A death between the two steps leaves a queue that still does not fit, and the numbers that it does not fit: the same
// again does the rest.
mending_report accept_remote_of_tcpshm(const std::string& dir, const session_key& which, const session_counts& remote,
                                       mending how) {
  const range theirs = range_of(remote);
  const auto queue = or_fail(os::tcpshm::hold_queue(dir, names_of(which)));
  const range ours = queue->at.range();
  const std::uint32_t next = nearest(theirs, ours.ack);
  const std::int32_t skipped = distance(ours.ack, next);
  const bool keeps_outputs = session::within(ours.start, theirs.ack, ours.end);
  mending_report told;
  told.skipped = skipped > 0 ? static_cast<std::uint64_t>(skipped) : 0;
  told.repeated = skipped < 0 ? static_cast<std::uint64_t>(-std::int64_t{skipped}) : 0;
  told.discarded = keeps_outputs ? 0 : ours.end - ours.start;
  told.counts =
      keeps_outputs ? session_counts{next, ours.start, ours.end} : session_counts{next, theirs.ack, theirs.ack};
  if (how == mending::preview) return told;
  if (!keeps_outputs) queue->at.give_up(theirs.ack);
  queue->at.want(next);
  bring_to_disk(*queue);
  forget_mismatch(queue->path);
  return told;
}

}  // namespace ferry::detail
