// Input: one byte for the form, the end and the options, one for the portions, then what a peer says in a handshake for
// a stream that both know. Nothing outside of the input is read, whatever is answered fits, and a stream goes on only
// where the counts can be. The server's side of a stream with a token takes the same road: no more than an answer is
// sent, and only who shows the stream's token finds it.
#include <algorithm>
#include <vector>

#include "fuzz/checks.hpp"
#include "session/resume_token.hpp"
#include "session/snet_handshake.hpp"

using namespace ferry;
using fuzz::require;

namespace {

struct one_stream final : session::snet_streams {
  explicit one_stream(session::snet_stream& it) : stream(it) {}
  session::snet_stream* find(std::uint64_t id) override { return id == stream.id() ? &stream : nullptr; }
  void come_again(session::snet_stream& which) override { require(&which == &stream); }
  session::snet_stream& stream;
};

void check(const session::snet_stream::replay& what) {
  require(what.first.size() + what.second.size() <= 16);
  for (const auto part : {what.first, what.second}) require(part.empty() || part[0] != std::byte{1});
}

template <class Machine>
void run(Machine& machine, bytes all, std::size_t portion) {
  for (std::size_t shown = 0; shown < all.size();) {
    shown = std::min(shown + portion, all.size());
    const std::vector<std::byte> exact(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(shown));
    const auto step = machine.on_bytes(exact);
    if (!step) return require(fuzz::is_one_line(step.error().text()));
    require(step->consumed <= exact.size() && step->send.size <= step->send.data.size());
    if (step->done) return check(machine.replay());
    all = all.subspan(step->consumed);
    shown -= step->consumed;
  }
}

void come_by_token(session::snet_stream& known, const session::snet_options& with, bytes all, std::size_t portion) {
  constexpr std::uint64_t k_fresh = 2;
  constexpr std::size_t k_key_at = 24;  // of an opening
  one_stream streams(known);
  session::token_accepting machine(with, {k_fresh, {}}, streams);
  run(machine, all, portion);
  require(machine.farewell().size <= session::resume_answer::k_bytes);
  if (machine.take()) return require(machine.id() == k_fresh);
  if (machine.id() != 0) require(std::ranges::equal(all.subspan(k_key_at, known.key().size()), known.key()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const session::snet_options with{(data[0] & 1) != 0 ? codec::snet::form::older : codec::snet::form::newer,
                                   (data[0] & 2) != 0, 16};
  const bool client = (data[0] & 4) != 0;
  session::snet_stream stream(with, 1, {}, client ? session::snet_end::client : session::snet_end::server);
  std::vector<std::byte> written(40, std::byte{2});
  stream.write(written, written);
  const auto all = std::as_bytes(std::span(data + 2, size - 2));
  const auto portion = std::size_t{data[1]} + 1;
  if ((data[0] & 16) != 0) {
    come_by_token(stream, with, all, portion);
  } else if (client && (data[0] & 8) != 0) {
    session::snet_connecting machine(with, stream);
    run(machine, all, portion);
  } else if (client) {
    session::snet_connecting machine(with, 12345);
    run(machine, all, portion);
  } else {
    one_stream streams(stream);
    session::snet_accepting machine(with, {1, 2, 3}, streams);
    run(machine, all, portion);
  }
  return 0;
}
