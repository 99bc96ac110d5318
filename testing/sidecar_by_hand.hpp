#pragma once
/// A sidecar in a test, by hand: the files of one entity, its control socket, and both ends of its rings that a service
/// does not have; native rings for those who ask, if it has them.

#include <ferry/sidecar.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codec/sidecar_control.hpp"
#include "codec/sidecar_notices.hpp"
#include "os/barrier.hpp"
#include "os/mapping.hpp"
#include "os/private_files.hpp"
#include "sidecar/compatible_plane.hpp"
#include "sidecar/message_forms.hpp"
#include "sidecar/native_plane.hpp"
#include "sidecar/wire/control_messages.hpp"
#include "testing/raw_unix.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {

/// One message, its texts its own.
struct kept_message {
  service_route route;
  service_package package;
  std::string message_id, body;
  std::vector<std::pair<std::string, std::string>> notes;

  [[nodiscard]] std::string note(const std::string& name) const {
    for (const auto& [key, value] : notes)
      if (key == name) return value;
    return "none";
  }
};
inline kept_message kept(const service_message& what) {
  kept_message made{
      what.route, what.package, std::string(what.package.message_id), std::string(as_text(what.body)), {}};
  for (const auto& note : what.package.notes) made.notes.emplace_back(note.name, note.value);
  made.route.message_id = {};
  made.package.message_id = {};
  made.package.notes = {};
  return made;
}

class sidecar_by_hand {
 public:
  static constexpr std::size_t k_queue = 16384;

  /// @param kind  that it has, and that its services ask for
  explicit sidecar_by_hand(boost::asio::io_context& io, service_rings kind = service_rings::compatible)
      : io_(io), kind_(kind) {}

  [[nodiscard]] service_options options_for(std::uint32_t pipes = 1) const {
    service_options made;
    made.number = 10;
    made.entity = 1001;
    made.version = 7;
    made.directory = dir_.path().string();
    made.pipes = pipes;
    made.rings = kind_;
    made.retry_interval = std::chrono::milliseconds(10);
    made.ring_wait = k_patience;
    made.message_validity = {};
    return made;
  }

  void make_rings(std::uint32_t pipe = 0) {
    rings_.resize(std::max<std::size_t>(rings_.size(), pipe + 1));
    auto& made = rings_[pipe];
    made.suffix = pipe == 0 ? std::string() : std::to_string(pipe);
    made.from = sidecar::compatible_reader::attach(open("send.shm" + made.suffix), {}).value();
    auto out = open("recv.shm" + made.suffix);
    made.receive_file = out.at.span();
    made.to = sidecar::compatible_writer::attach(std::move(out)).value();
  }
  void listen() { listener_ = raw_unix::listen(dir_.file("sidecar.sock")); }
  /// As if the process had ended.
  void die() {
    link_.close();
    listener_.close();
    came_.clear();
    std::filesystem::remove(dir_.path() / "sidecar.sock");
  }

  void accept() {
    ASSERT_TRUE(run_until(
        io_, [&] { return listener_.ready(); }, "a service"));
    link_ = listener_.accept();
    came_.clear();
  }
  /// The next message on the control socket; nothing: the service has ended it.
  [[nodiscard]] std::optional<codec::sidecar::notice> hear() {
    std::optional<codec::sidecar::notice> heard;
    bool ended = false;
    EXPECT_TRUE(run_until(
        io_,
        [&] {
          if (link_.ready()) {
            const auto some = link_.read_some();
            ended = some.empty();
            came_ += some;
          }
          const auto next = codec::sidecar::control_decoder().next(as_bytes(came_)).value();
          if (next.consumed == 0) return ended;
          heard = sidecar::wire::decode(next).value();
          came_.erase(0, next.consumed);
          if (!std::holds_alternative<codec::sidecar::other_notice>(*heard)) return true;
          switches += 1;  // nothing else is told so
          heard.reset();
          return false;
        },
        "a control message"));
    return heard;
  }
  template <class Notice>
  [[nodiscard]] Notice hear_one() {
    const auto heard = hear();
    if (!heard || !std::holds_alternative<Notice>(*heard)) {
      ADD_FAILURE() << "another control message came, or none";
      return {};
    }
    return std::get<Notice>(*heard);
  }
  void say(const codec::sidecar::notice& what) {
    std::vector<std::byte> written;
    ASSERT_TRUE(sidecar::wire::append(written, what));
    ASSERT_EQ(link_.send(as_text(written)), 0);
  }
  /// Bytes that are no control message.
  void say_nonsense() { ASSERT_EQ(link_.send(std::string(16, '\0')), 0); }
  /// Accepts the next connection and takes its registration.
  codec::sidecar::registration take_registration(const codec::sidecar::registration_answer& answer = {}) {
    accept();
    auto heard = hear_one<codec::sidecar::registration>();
    auto said = answer;
    if (kind_ == service_rings::native && heard.rings != 0 && answer.code == 0)
      said.rings = offer_native(static_cast<std::uint32_t>(heard.pipe), heard.rings);
    say(said);
    return heard;
  }

  void put(const service_route& route, const service_package& package, std::string_view body, std::uint32_t pipe = 0) {
    auto& of = rings_[pipe];
    sidecar::message_former former;
    const auto kind = of.native_to ? service_rings::native : service_rings::compatible;
    const auto formed = former.form(kind, route, package, as_bytes(body), 1).value();
    ASSERT_TRUE(to_service(pipe).write(formed.parts(), formed.head_bytes, 1));
  }
  void put_garbage(std::string_view what, std::uint32_t pipe = 0) {
    const bytes part = as_bytes(what);
    ASSERT_TRUE(to_service(pipe).write({&part, 1}, what.size() / 2, 1));
  }
  /// As one that has no native rings.
  void forget_native(std::uint32_t pipe = 0) {
    rings_[pipe].native_from = nullptr;
    rings_[pipe].native_to = nullptr;
  }
  /// The next message that the service wrote, if there is one: natively only after all that is compatible.
  [[nodiscard]] std::optional<kept_message> take(std::uint32_t pipe = 0) {
    auto& of = rings_[pipe];
    sidecar::plane_reader* from = of.from.get();
    auto record = from->front(0).value();
    if (!record && of.native_from) {
      from = of.native_from.get();
      record = from->front(0).value();
    }
    if (!record) return std::nullopt;
    sidecar::message_reader reader;
    EXPECT_TRUE(reader.take(record));
    auto made = kept({reader.route().value(), reader.package().value(), reader.body()});
    from->pop();
    return made;
  }

  /// The ends of its rings that a service does not have.
  [[nodiscard]] sidecar::plane_writer& to_service(std::uint32_t pipe = 0) {
    if (rings_[pipe].native_to) return *rings_[pipe].native_to;
    return *rings_[pipe].to;
  }
  [[nodiscard]] sidecar::plane_reader& from_service(std::uint32_t pipe = 0) {
    if (rings_[pipe].native_from) return *rings_[pipe].native_from;
    return *rings_[pipe].from;
  }
  [[nodiscard]] std::string file(const std::string& name) const { return dir_.file(name); }
  [[nodiscard]] std::span<std::byte> receive_file(std::uint32_t pipe = 0) const { return rings_[pipe].receive_file; }

  int switches = 0;  ///< times that the service has said that it writes natively

 private:
  struct one_pipe {
    std::string suffix;
    std::span<std::byte> receive_file;
    std::unique_ptr<sidecar::compatible_reader> from;
    std::unique_ptr<sidecar::compatible_writer> to;
    std::unique_ptr<sidecar::native_reader> native_from;  // null: not offered yet
    std::unique_ptr<sidecar::native_writer> native_to;
  };
  std::uint32_t offer_native(std::uint32_t pipe, std::uint32_t asked) {
    using namespace codec::sidecar;
    auto& of = rings_[pipe];
    const bool fenced = (asked & k_ring_barriers) == 0 || !os::barriers_work();
    if (!of.native_to) {
      const auto make = [&](const std::string& name) {
        return sidecar::native_ring::make(dir_.file(name + of.suffix), k_queue, os::own_uid()).value();
      };
      of.native_from = sidecar::native_reader::attach(make("send.shm"), {}, fenced).value();
      of.native_to = sidecar::native_writer::attach(make("recv.shm"), fenced).value();
    }
    return k_native_rings | (fenced ? 0 : k_ring_barriers);
  }
  // Made under another name, so that nobody finds it half made.
  os::private_file open(const std::string& name) {
    const auto size = ring::k_sidecar_control_bytes + k_queue;
    const auto file = os::create_file(dir_.file("new"), size).value();
    auto made = os::private_file::of(file.get(), size).value();
    ring::sidecar_ring_memory::format(made.span());
    EXPECT_EQ(std::rename(dir_.file("new").c_str(), dir_.file(name).c_str()), 0);
    return made;
  }

  boost::asio::io_context& io_;
  service_rings kind_;
  temp_dir dir_;
  std::vector<one_pipe> rings_;
  raw_unix listener_, link_;
  std::string came_;
};

}  // namespace ferry::test
