#pragma once
/// What a strict WebSocket peer may be expected to do, as a table: frames, and what must be heard of them. It covers
/// what the categories 1 to 7 and 9 of the usual conformance suite for WebSocket ask. It is played to the decoder
/// alone, and over sockets to a listener and to a channel.

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace ferry::test {

inline constexpr int k_fin = 0x80;
inline constexpr int k_text = 1;
inline constexpr int k_binary = 2;
inline constexpr int k_close = 0x88;
inline constexpr int k_ping = 0x89;
inline constexpr int k_pong = 0x8a;

struct sent_frame {
  int first = 0;  ///< FIN, RSV, opcode
  std::string payload;
};

/// Frames of one peer, and what the other must hear: "text hello", "binary ...", "ping x", "pong x", "close 1000 bye"
/// (1005: without a code), "fault 1002"; nothing is heard behind the last two.
struct conversation {
  std::string name;
  std::vector<sent_frame> frames;
  std::vector<std::string> heard;
};

inline std::string repeated(std::size_t size, char c = '*') {
  std::string made;
  made.assign(size, c);
  return made;
}

namespace conversations {

using namespace std::string_literals;

inline const std::vector<std::string> k_good_texts{
    "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
    "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!",
    "\x00"s,
    "\xc2\x80",
    "\xe0\xa0\x80",
    "\xf0\x90\x80\x80",
    "\x7f",
    "\xdf\xbf",
    "\xef\xbf\xbf",
    "\xf4\x8f\xbf\xbf",
    "\xed\x9f\xbf",
    "\xee\x80\x80",
    "\xef\xbf\xbd",
    "\xef\xbf\xbe",
    "\xf0\x9f\xbf\xbe",
    "\xf3\xbf\xbf\xbf"};
inline const std::vector<std::string> k_bad_texts{"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80 edited",
                                                  "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80 edited",
                                                  "\xf8\x88\x80\x80\x80",
                                                  "\xfc\x84\x80\x80\x80\x80",
                                                  "\xf7\xbf\xbf\xbf",
                                                  "\xfb\xbf\xbf\xbf\xbf",
                                                  "\xf4\x90\x80\x80",
                                                  "\x80",
                                                  "\xbf",
                                                  "\x80\xbf\x80\xbf\x80\xbf",
                                                  "\xc0 \xc1 \xc2 ",
                                                  "\xe0 \xe1 \xef ",
                                                  "\xf0 \xf1 \xf4 ",
                                                  "\xfe",
                                                  "\xff",
                                                  "\xc0\xaf",
                                                  "\xe0\x80\xaf",
                                                  "\xf0\x80\x80\xaf",
                                                  "\xc1\xbf",
                                                  "\xe0\x9f\xbf",
                                                  "\xf0\x8f\xbf\xbf",
                                                  "\xed\xa0\x80",
                                                  "\xed\xbf\xbf",
                                                  "\xed\xa0\x80\xed\xb0\x80"};

[[nodiscard]] inline std::vector<conversation> of_every_form_of_length() {
  std::vector<conversation> all;
  for (const std::size_t size : {0, 1, 125, 126, 127, 128, 65535, 65536, 200000}) {
    all.push_back({"text", {{k_fin | k_text, repeated(size)}}, {"text " + repeated(size)}});
    all.push_back({"binary", {{k_fin | k_binary, repeated(size, '\xfe')}}, {"binary " + repeated(size, '\xfe')}});
  }
  return all;
}

[[nodiscard]] inline std::vector<conversation> pings_and_pongs() {
  const std::string binary = "\x00\xff\xfe\xfd\xfc\xfb\x00\xff"s;
  std::vector<conversation> all{{"empty ping", {{k_ping, ""}}, {"ping "}},
                                {"small ping", {{k_ping, "Hello, world!"}}, {"ping Hello, world!"}},
                                {"ping that is no text", {{k_ping, binary}}, {"ping " + binary}},
                                {"largest ping", {{k_ping, repeated(125)}}, {"ping " + repeated(125)}},
                                {"too large a ping", {{k_ping, repeated(126)}}, {"fault 1002"}},
                                {"pong that nobody asked for", {{k_pong, ""}, {k_ping, "x"}}, {"pong ", "ping x"}},
                                {"pong with payload", {{k_pong, "unsolicited"}}, {"pong unsolicited"}},
                                {"too large a pong", {{k_pong, repeated(126)}}, {"fault 1002"}}};
  conversation ten{"ten pings", {}, {}};
  for (int i = 0; i < 10; ++i) {
    ten.frames.push_back({k_ping, std::to_string(i)});
    ten.heard.push_back("ping " + std::to_string(i));
  }
  all.push_back(ten);
  return all;
}

[[nodiscard]] inline std::vector<conversation> reserved_bits() {
  std::vector<conversation> all;
  for (int rsv = 1; rsv <= 7; ++rsv)
    for (const int first : {k_fin | k_text, k_fin | k_binary, k_text, k_ping, k_pong, k_close})
      all.push_back({"RSV " + std::to_string(rsv) + " with " + std::to_string(first),
                     {{k_fin | k_text, "before"}, {first | rsv << 4, "x"}, {k_ping, ""}},
                     {"text before", "fault 1002"}});
  for (int rsv = 1; rsv <= 7; ++rsv)
    all.push_back({"RSV in a continuation", {{k_text, "a"}, {k_fin | rsv << 4, "b"}}, {"fault 1002"}});
  return all;
}

[[nodiscard]] inline std::vector<conversation> reserved_opcodes() {
  std::vector<conversation> all;
  for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15})
    for (const std::string payload : {"", "payload"})
      for (const int fin : {0, k_fin})
        all.push_back({"opcode " + std::to_string(opcode),
                       {{k_fin | k_text, "before"}, {fin | opcode, payload}, {k_ping, ""}},
                       {"text before", "fault 1002"}});
  return all;
}

[[nodiscard]] inline std::vector<conversation> fragmentation() {
  return {
      {"ping in two frames", {{0x09, "a"}, {k_fin, "b"}}, {"fault 1002"}},
      {"pong in two frames", {{0x0a, "a"}, {k_fin, "b"}}, {"fault 1002"}},
      {"close without FIN", {{0x08, ""}}, {"fault 1002"}},
      {"text in two", {{k_text, "ab"}, {k_fin, "cd"}}, {"text abcd"}},
      {"text in two, a ping between", {{k_text, "ab"}, {k_ping, "p"}, {k_fin, "cd"}}, {"ping p", "text abcd"}},
      {"nothing to continue, at the end", {{k_fin, "x"}, {k_fin | k_text, "y"}}, {"fault 1002"}},
      {"nothing to continue, going on", {{0, "x"}, {k_fin | k_text, "y"}}, {"fault 1002"}},
      {"a continuation behind a whole message", {{k_text, "a"}, {k_fin, "b"}, {k_fin, "c"}}, {"text ab", "fault 1002"}},
      {"a continuation behind a message in one frame", {{k_fin | k_text, "a"}, {0, "c"}}, {"text a", "fault 1002"}},
      {"two messages at once", {{k_text, "a"}, {k_fin | k_text, "b"}}, {"fault 1002"}},
      {"two kinds at once", {{k_text, "a"}, {k_binary, "b"}}, {"fault 1002"}},
      {"five parts with pings between",
       {{k_text, "1"}, {0, "2"}, {k_ping, "first"}, {0, "3"}, {0, "4"}, {k_ping, "second"}, {k_fin, "5"}},
       {"ping first", "ping second", "text 12345"}},
      {"parts without payload", {{k_text, ""}, {0, ""}, {k_fin, ""}}, {"text "}},
      {"payload only in the middle", {{k_text, ""}, {0, "middle"}, {k_fin, ""}}, {"text middle"}},
      {"binary in parts", {{k_binary, "\xff"}, {0, "\xfe"}, {k_fin, "\xfd"}}, {"binary \xff\xfe\xfd"}},
  };
}

[[nodiscard]] inline std::vector<conversation> text_is_utf8() {
  std::vector<conversation> all;
  const auto add = [&](const std::string& text, const std::string& verdict) {
    all.push_back({text, {{k_fin | k_text, text}}, {verdict}});
    for (std::size_t cut = 0; cut <= text.size(); ++cut)
      all.push_back({text, {{k_text, text.substr(0, cut)}, {k_fin, text.substr(cut)}}, {verdict}});
    conversation bytewise{text, {{k_text, ""}}, {verdict}};
    for (const char c : text) bytewise.frames.push_back({0, std::string(1, c)});
    bytewise.frames.push_back({k_fin, ""});
    all.push_back(bytewise);
  };
  for (const auto& good : k_good_texts) add(good, "text " + good);
  for (const auto& bad : k_bad_texts) add(bad, "fault 1007");
  for (const std::string cut : {"\xce", "\xe1", "\xe1\xbd", "\xf4", "\xf4\x8f", "\xf4\x8f\xbf", "ab\xc2"})
    add(cut, "fault 1007");
  return all;
}

[[nodiscard]] inline std::vector<conversation> closing() {
  const auto code = [](int value) { return std::string{static_cast<char>(value >> 8), static_cast<char>(value)}; };
  std::vector<conversation> all{
      {"a message, then a close", {{k_fin | k_text, "x"}, {k_close, code(1000)}}, {"text x", "close 1000 "}},
      {"two closes", {{k_close, code(1000)}, {k_close, code(1001)}}, {"close 1000 "}},
      {"a ping behind a close", {{k_close, code(1000)}, {k_ping, ""}}, {"close 1000 "}},
      {"a message behind a close", {{k_close, code(1000)}, {k_fin | k_text, "x"}}, {"close 1000 "}},
      {"a close inside of a message", {{k_text, "x"}, {k_close, code(1000)}, {k_fin, "y"}}, {"close 1000 "}},
      {"rubbish behind a close", {{k_close, ""}, {0xff, "x"}}, {"close 1005 "}},
      {"without a code", {{k_close, ""}}, {"close 1005 "}},
      {"one byte", {{k_close, "\x03"}}, {"fault 1002"}},
      {"a reason", {{k_close, code(1000) + "Hello World!"}}, {"close 1000 Hello World!"}},
      {"the longest reason", {{k_close, code(1000) + repeated(123)}}, {"close 1000 " + repeated(123)}},
      {"too long a reason", {{k_close, code(1000) + repeated(124)}}, {"fault 1002"}},
      {"a reason in good text", {{k_close, code(1000) + k_good_texts[0]}}, {"close 1000 " + k_good_texts[0]}},
      {"a reason in bad text", {{k_close, code(1000) + k_bad_texts[0]}}, {"fault 1007"}}};
  for (const int good :
       {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999})
    all.push_back({"a code that may be sent", {{k_close, code(good)}}, {"close " + std::to_string(good) + " "}});
  for (const int bad : {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535})
    all.push_back({"code " + std::to_string(bad), {{k_close, code(bad) + "x"}}, {"fault 1002"}});
  return all;
}

[[nodiscard]] inline std::vector<conversation> large_messages_in_many_parts() {
  std::vector<conversation> all;
  for (const std::size_t part : {64, 256, 1000, 1300, 4096, 65536})
    for (const int opcode : {k_text, k_binary}) {
      conversation c{"in parts of " + std::to_string(part), {}, {}};
      constexpr std::size_t k_size = 65536;
      for (std::size_t at = 0; at < k_size; at += part)
        c.frames.push_back({at == 0 ? opcode : 0, repeated(std::min(part, k_size - at))});
      c.frames.back().first |= k_fin;
      c.heard = {(opcode == k_text ? "text " : "binary ") + repeated(k_size)};
      all.push_back(c);
    }
  return all;
}

[[nodiscard]] inline std::vector<conversation> many_small_messages() {
  conversation c{"a thousand", {}, {}};
  for (int i = 0; i < 1000; ++i) {
    c.frames.push_back({k_fin | k_text, repeated(static_cast<std::size_t>(i % 130))});
    c.heard.push_back("text " + c.frames.back().payload);
  }
  return {c};
}

}  // namespace conversations
}  // namespace ferry::test
