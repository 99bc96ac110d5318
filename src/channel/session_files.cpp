// Looking at persistent sessions and mending them, from outside.
#include <ferry/session_files.hpp>

#include <algorithm>
#include <memory>
#include <utility>

#include "channel/fail.hpp"
#include "channel/tcpshm_session_files.hpp"
#include "os/random.hpp"
#include "os/session_list.hpp"
#include "os/session_store.hpp"

namespace ferry {
namespace {

using os::session_names;

session_names names_of(const session_key& which) { return {which.as, which.peer}; }

std::string directory_of(const session_key& which) { return or_fail(os::session_directory(which.dir, false)); }

session_counts counts_of(const session::session_range& range) { return {range.ack, range.start, range.end}; }
session::session_range range_of(const session_counts& counts) {
  return {counts.consumed, counts.acknowledged, counts.sent};
}

std::chrono::system_clock::time_point time_of(std::uint64_t nanoseconds_since_1970) {
  return std::chrono::system_clock::time_point(std::chrono::duration_cast<std::chrono::system_clock::duration>(
      std::chrono::nanoseconds(static_cast<std::int64_t>(nanoseconds_since_1970))));
}

session_report report_of(const std::string& dir, const os::session_summary& seen) {
  session_report told;
  told.key = {dir, seen.names.own, seen.names.peer};
  told.peer = seen.peer_name.empty() ? seen.names.peer : seen.peer_name;
  told.in_use = seen.in_use;
  told.session = seen.session;
  told.epoch = seen.epoch;
  told.transaction = seen.transaction;
  told.counts = counts_of(seen.range);
  told.unacknowledged_bytes = seen.unacknowledged_bytes;
  told.ring_bytes = seen.ring_bytes;
  told.file_bytes = seen.bytes;
  told.state_bytes = seen.state_bytes;
  told.created_at = time_of(seen.created_at);
  if (const auto& note = seen.mismatch) told.mismatch = detail::mismatch_of(*note);
  if (seen.damage) told.damage = seen.damage->text();
  return told;
}

// Files of another version are whole, for another release.
bool is_damage(const error& why) { return why == errc::corrupt || why == errc::truncated; }

// What is mended must be on disk, whatever the session promises to who uses it.
result<std::unique_ptr<os::session_store>> open_store(const std::string& dir, const session_names& names) {
  // open() would make one.
  if (const auto there = os::look_at_session(dir, names); !there) return there.error();
  os::session_store::settings with;
  with.durable = session::durability::disk;
  return os::session_store::open(dir, names, with);
}

void bring_to_disk(os::session_store& store) { or_fail(session::sync_all(store.session(), store.disk())); }

void consume_up_to(os::session_store& store, std::uint64_t number) {
  auto& session = store.session();
  session.input().go_back({0, number});  // nothing is attached, so any number will do
  session.commit();
  bring_to_disk(store);
}

mending_report accept(os::session_store& store, const session::session_range& remote, std::uint64_t remote_session,
                      mending how) {
  auto& session = store.session();
  const auto ours = or_fail(session.range());
  // Of another session nothing that we have consumed counts.
  const bool same = remote_session == 0 || remote_session == session.session();
  const std::uint64_t next = same ? std::clamp(ours.ack, remote.start, remote.end) : remote.start;
  const bool keeps_outputs = same && ours.start <= remote.ack && remote.ack <= ours.end;
  mending_report told;
  told.skipped = same && next > ours.ack ? next - ours.ack : 0;
  told.repeated = same && ours.ack > next ? ours.ack - next : 0;
  told.discarded = keeps_outputs ? 0 : ours.end - ours.start;
  told.counts =
      keeps_outputs ? session_counts{next, ours.start, ours.end} : session_counts{next, remote.ack, remote.ack};
  if (how == mending::preview) return told;
  if (keeps_outputs) {
    consume_up_to(store, next);
  } else {
    if (!same) session.identify(remote_session, 0);
    or_fail(session.reset({session.session(), next, remote.ack, true}));
    bring_to_disk(store);
  }
  store.forget_mismatch();
  return told;
}

}  // namespace

session_mismatch detail::mismatch_of(const os::mismatch_note& note) {
  return {counts_of(note.numbers.local), counts_of(note.numbers.remote), note.session, time_of(note.noted_at)};
}

std::vector<session_report> list_sessions(const std::string& dir) {
  const auto where = os::session_directory(dir, false);
  if (!where && where.error() == errc::not_found) return {};
  const std::string path = or_fail(where);
  std::vector<session_report> all;
  for (const auto& seen : or_fail(os::list_sessions(path))) all.push_back(report_of(path, seen));
  detail::list_tcpshm(path, all);
  return all;
}

session_report show_session(const session_key& which) {
  const std::string dir = directory_of(which);
  if (which.format == session_format::tcpshm) return detail::show_tcpshm(dir, which);
  return report_of(dir, or_fail(os::look_at_session(dir, names_of(which))));
}

mending_report reset_session(const session_key& which, mending how) {
  const std::string dir = directory_of(which);
  if (which.format == session_format::tcpshm) return detail::reset_tcpshm(dir, which, how);
  mending_report told;
  auto opened = open_store(dir, names_of(which));
  if (!opened && is_damage(opened.error())) {
    told.damaged = true;
    if (how == mending::apply) or_fail(os::session_store::remove(dir, names_of(which)));
    return told;
  }
  const auto store = or_fail(std::move(opened));
  auto& session = store->session();
  const auto range = or_fail(session.range());
  told.discarded = range.end - range.start;
  told.lost_state_bytes = session.state().size();
  if (how == mending::preview) return told;
  session.identify(os::random_u64() | 1, 0);
  or_fail(session.reset({.session = session.session()}));
  bring_to_disk(*store);
  store->forget_mismatch();
  return told;
}

mending_report skip_messages(const session_key& which, std::uint64_t messages, mending how) {
  if (messages == 0 || messages > k_max_skip)
    throw failure(errc::bad_option, 0,
                  "skip " + std::to_string(messages) + ": must be 1 .. " + std::to_string(k_max_skip) + " messages");
  const std::string dir = directory_of(which);
  if (which.format == session_format::tcpshm) return detail::skip_tcpshm(dir, which, messages, how);
  const auto store = or_fail(open_store(dir, names_of(which)));
  const auto range = or_fail(store->session().range());
  mending_report told;
  told.skipped = messages;
  told.counts = counts_of(range);
  told.counts.consumed += messages;
  if (how == mending::apply) consume_up_to(*store, told.counts.consumed);
  return told;
}

mending_report accept_remote(const session_key& which, mending how) {
  const std::string dir = directory_of(which);
  const session_report seen = show_session(which);
  if (!seen.mismatch)
    throw failure(errc::misuse, 0,
                  "no login of the session of " + which.as +
                      " was noted whose numbers did not fit: let both sides "
                      "meet, or tell the numbers of the other side");
  if (which.format == session_format::tcpshm)
    return detail::accept_remote_of_tcpshm(dir, which, seen.mismatch->remote, how);
  const auto store = or_fail(open_store(dir, names_of(which)));
  return accept(*store, range_of(seen.mismatch->remote), seen.mismatch->session, how);
}

mending_report accept_remote(const session_key& which, const session_counts& remote, mending how) {
  if (which.format == session_format::tcpshm)
    return detail::accept_remote_of_tcpshm(directory_of(which), which, remote, how);
  if (remote.acknowledged > remote.sent)
    throw failure(errc::bad_option, 0,
                  "the other side cannot have sent " + std::to_string(remote.sent) + " messages of which " +
                      std::to_string(remote.acknowledged) + " were acknowledged");
  const auto store = or_fail(open_store(directory_of(which), names_of(which)));
  return accept(*store, range_of(remote), 0, how);
}

}  // namespace ferry
