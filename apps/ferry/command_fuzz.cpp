// ferry fuzz: the frame fuzzer. Sends a server what no peer should send, and right things in odd pieces, and sees that
// it answers as it must and goes on serving others.
#include <ferry/url.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/fuzz_cases.hpp"
#include "apps/ferry/host.hpp"
#include "apps/ferry/raw_talk.hpp"
#include "apps/ferry/raw_url.hpp"
#include "apps/ferry/settings.hpp"

namespace ferry::app {
namespace {

struct fuzz_flags {
  std::string url;
  std::uint64_t count = 1000;
  std::uint64_t seed = 1;
  std::chrono::nanoseconds wait = std::chrono::seconds(5);
  channel_flags channels;
};

// The code of the first Close frame among whole frames of a server; takes the others away.
std::optional<std::uint16_t> take_close(raw_talk& talk) {
  for (;;) {
    const bytes in = talk.received();
    if (in.size() < 2) return std::nullopt;
    const auto opcode = std::to_integer<unsigned>(in[0] & std::byte{15});
    std::uint64_t length = std::to_integer<std::uint64_t>(in[1] & std::byte{127});
    std::size_t header = 2;
    if (length >= 126) {
      const std::size_t more = length == 126 ? 2 : 8;
      if (in.size() < 2 + more) return std::nullopt;
      length = 0;
      for (std::size_t i = 0; i < more; ++i) length = length << 8 | std::to_integer<std::uint64_t>(in[2 + i]);
      header += more;
    }
    if (in.size() - header < length) return std::nullopt;
    const bytes payload = in.subspan(header, static_cast<std::size_t>(length));
    if (opcode == 8) {
      if (payload.size() < 2) return std::uint16_t{1005};
      return static_cast<std::uint16_t>(std::to_integer<unsigned>(payload[0]) << 8 |
                                        std::to_integer<unsigned>(payload[1]));
    }
    talk.consume(header + payload.size());
  }
}

std::string first_bytes(bytes wire) {
  static constexpr const char* k_digits = "0123456789abcdef";
  std::string text;
  for (const auto b : wire.first(std::min<std::size_t>(wire.size(), 64))) {
    const auto value = std::to_integer<unsigned>(b);
    text += {k_digits[value >> 4], k_digits[value & 15], ' '};
  }
  return text + (wire.size() > 64 ? "... " : "") + "(" + std::to_string(wire.size()) + " bytes)";
}

class fuzzing {
 public:
  fuzzing(const fuzz_flags& flags, const options& with, raw_url to)
      : flags_(flags),
        with_(with),
        to_(std::move(to)),
        target_{to_.frames, with.framing, with.max_message},
        host_(flags.channels.log),
        talk_(host_.channels(), flags.wait) {}

  int run() {
    if (const auto healthy = serves(0); !healthy) return complain(healthy.error().in("before anything was sent"));
    for (std::uint64_t i = 0; i < flags_.count; ++i) {
      const std::uint64_t seed = flags_.seed + i;
      const auto input = make_fuzz_case(target_, seed);
      auto outcome = stands(input);
      if (outcome) outcome = serves(seed);
      if (!outcome) return surprised(seed, input, outcome.error());
      ++(input.wanted == fuzz_answer::ends || (input.wanted == fuzz_answer::closes && input.codes[0] != 1000) ? refused_
                                                                                                              : taken_);
    }
    return print(std::to_string(flags_.count) + " inputs: " + std::to_string(taken_) + " taken, " +
                 std::to_string(refused_) + " refused as they must be; it still serves\n");
  }

 private:
  [[nodiscard]] int surprised(std::uint64_t seed, const fuzz_case& input, const error& why) const {
    say("seed " + std::to_string(seed) + ", " + input.name + ": " + why.text());
    say("the input: " + first_bytes(input.wire));
    say("again with: --seed " + std::to_string(seed) + " --count 1");
    return k_failed;
  }

  [[nodiscard]] result<void> begin() {
    if (const auto connected = talk_.connect(to_.url, with_); !connected) return connected;
    if (!to_.upgrades) return {};
    const std::string request = "GET " + to_.path + " HTTP/1.1\r\nHost: " + to_.host +
                                "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    if (const auto written = talk_.write(as_bytes(request)); !written) return written;
    std::size_t end = std::string_view::npos;
    static_cast<void>(talk_.wait([&] {
      end = as_text(talk_.received()).find("\r\n\r\n");
      return end != std::string_view::npos;
    }));
    if (end == std::string_view::npos) return error(errc::protocol, "no answer to the HTTP request");
    const auto head = as_text(talk_.received()).substr(0, end);
    if (head.substr(0, 12) != "HTTP/1.1 101")
      return error(errc::protocol, "the HTTP request was refused: " + shown(head.substr(0, head.find('\r')), 80));
    talk_.consume(end + 4);
    return {};
  }

  /// Whether what follows the input is what must.
  [[nodiscard]] result<void> stands(const fuzz_case& input) {
    if (const auto begun = begin(); !begun) return begun;
    if (const auto written = talk_.write(input.wire, input.cuts); !written) return written;
    if (input.half_closes) talk_.end_sending();
    switch (input.wanted) {
      case fuzz_answer::open: return ends_in_order();
      case fuzz_answer::ends: return ends();
      case fuzz_answer::closes: return closes(input);
    }
    __builtin_unreachable();
  }

  [[nodiscard]] result<void> ends_in_order() {
    if (!talk_.wait([] { return false; })) return error(errc::timeout, "it does not end its direction after ours");
    if (*talk_.ended() == errc::end_of_stream) return {};
    return talk_.ended()->in("it took this for wrong");
  }

  [[nodiscard]] result<void> ends() {
    if (talk_.wait([] { return false; })) return {};
    return error(errc::timeout, "it does not end the connection");
  }

  [[nodiscard]] result<void> closes(const fuzz_case& input) {
    std::optional<std::uint16_t> code;
    static_cast<void>(talk_.wait([&] {
      code = take_close(talk_);
      return code.has_value();
    }));
    std::string wanted;
    for (const auto one : input.codes) wanted += (wanted.empty() ? "" : " or ") + std::to_string(one);
    if (!code) code = take_close(talk_);
    if (!code) return error(errc::protocol, "no Close frame came, and " + wanted + " was to come");
    if (std::find(input.codes.begin(), input.codes.end(), *code) == input.codes.end())
      return error(errc::protocol, "it closed with " + std::to_string(*code) + " instead of " + wanted);
    return {};
  }

  /// Whether somebody else who does nothing wrong is served.
  [[nodiscard]] result<void> serves(std::uint64_t seed) {
    auto outcome = stands(make_sound_case(target_, seed));
    if (!outcome) return outcome.error().in("the next connection, without anything wrong");
    return outcome;
  }

  const fuzz_flags& flags_;
  options with_;
  raw_url to_;
  fuzz_target target_;
  host host_;
  raw_talk talk_;
  std::uint64_t taken_ = 0, refused_ = 0;
};

int fuzz(const fuzz_flags& flags) {
  const auto with = options_from(flags.channels);
  if (!with) return complain(with.error());
  auto to = raw_url_of(flags.url);
  if (!to) return complain(to.error());
  // Options in the URL say how the server frames.
  options all = *with;
  if (!to->frames) {
    host look(flags.channels.log);
    const auto schemes = look.channels().schemes();
    if (const auto parsed = parse_url(to->url, all, schemes); !parsed) return complain(parsed.error());
  }
  return fuzzing(flags, all, std::move(*to)).run();
}

constexpr const char* k_examples =
    R"(  ferry fuzz tcp://localhost:5000                       a server of varint-framed messages
  ferry fuzz 'tcp://localhost:5000?framing=typed' --count 100k
  ferry fuzz ws://localhost:8080/chat -o max_message=64KiB
  ferry fuzz ws+raw://localhost:8081 --seed 4711 --count 1

Only for servers of your own. It needs the server's framing and max_message, and sends nothing that is large.
Exit status: 0 each input was answered as it must be, and the server still serves; 1 a surprise, with its seed;
2 wrong command line.)";

}  // namespace

void add_fuzz(command_line app, int& exit_code) {
  const auto flags = std::make_shared<fuzz_flags>();
  const command_line command =
      app.add_command("fuzz", "Send a server malformed frames, and see that it stands them", k_examples);
  command.add_option("URL", flags->url, "The server: tcp, tls, ipc, ws, wss, ws+raw, wss+raw, ws+ipc")
      .required()
      .type_name("");
  add_whole(command, "--count", flags->count, option_unit::count, 1, "How many inputs (default 1000)").type_name("N");
  add_whole(command, "--seed", flags->seed, option_unit::count, 0, "The first one's number (default 1)").type_name("N");
  add_duration(command, "--wait", flags->wait, "How long an answer may take (default 5s)");
  add_channel_flags(command, flags->channels);
  command.callback([flags, &exit_code] { exit_code = fuzz(*flags); });
}

}  // namespace ferry::app
