#include "apps/ferry/tally.hpp"

#include <cerrno>

#include "bench/table.hpp"

namespace ferry::app {

void tally::add(const down_info& end) noexcept {
  maybe_lost += end.messages_maybe_lost;
  if (!in_order(end.reason)) errors += 1;
}

std::string tally::table(const std::string& received, const std::string& sent) const {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const auto flow = [&](std::uint64_t messages, std::uint64_t size) {
    return std::vector<std::string>{std::to_string(messages), bench::fixed(static_cast<double>(size) / 1e6, 2) + " MB",
                                    bench::rate_text(static_cast<double>(messages) / seconds),
                                    bench::bytes_rate_text(static_cast<double>(size) / seconds)};
  };
  using enum bench::alignment;
  bench::text_table flows({"", "messages", "payload", "messages/s", "bytes/s"}, {left, right, right, right, right});
  const auto row = [&](const std::string& name, std::uint64_t messages, std::uint64_t size) {
    auto cells = flow(messages, size);
    cells.insert(cells.begin(), name);
    flows.add(std::move(cells));
  };
  row(received, messages_received, bytes_received);
  row(sent, messages_sent, bytes_sent);
  bench::text_table rest({"connections", "refused", "errors", "maybe lost", "never sent", "seconds"},
                         {right, right, right, right, right, right});
  rest.add({std::to_string(connections), std::to_string(refused), std::to_string(errors), std::to_string(maybe_lost),
            std::to_string(never_sent), bench::fixed(seconds, 2)});
  return flows.text() + rest.text();
}

bool in_order(const error& reason) noexcept { return reason == errc::closed || reason == errc::end_of_stream; }

std::string counted(std::uint64_t n, const std::string& thing) {
  return std::to_string(n) + " " + thing + (n == 1 ? "" : "s");
}

std::string for_shell(const std::string& word) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-~%:/@,+=";
  if (word.find_first_not_of(plain) == word.npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

error with_advice(const error& why) {
  const auto text = [&](const char* advice) { return error(why.reason(), why.text() + advice, why.system_errno()); };
  switch (why.reason()) {
    case errc::address_in_use: return text("; end the one that listens there, or choose another address");
    case errc::permission: return text("; choose a place that this user may use, or run as one who may");
    default: return why.system_errno() == EADDRNOTAVAIL ? text("; choose an address of this host, or * for all") : why;
  }
}

error with_advice(const error& why, const std::string& url) {
  const auto text = [&](const std::string& advice) {
    return error(why.reason(), why.text() + advice, why.system_errno());
  };
  // Who listens there has a directory of its own, and whose it is only the sidecar knows.
  const bool by_sidecar = url.starts_with("sidecar:");
  if (by_sidecar && why == errc::refused)
    return text("; start one with: ferry listen sidecar://DIR, where DIR is the directory of that entity");
  if (by_sidecar && why == errc::not_found)
    return text("; check the path, or start a sidecar: ferry sidecar --service name=NUMBER,id=ENTITY,dir=DIR");
  switch (why.reason()) {
    case errc::refused: return text("; nobody listens there, start one with: ferry listen " + for_shell(url));
    case errc::not_found:
      if (!url.starts_with("ipc:") && !url.starts_with("shm:") && !url.starts_with("ws+ipc:"))
        return text("; check the name");  // of the host
      return text("; check the name or path, or start a listener with: ferry listen " + for_shell(url));
    case errc::timeout: return text("; check address and firewall, or raise the option named");
    default: return with_advice(why);
  }
}

error with_advice(const error& why, const channel& missing) {
  std::string url = missing.url();
  if (missing.settings().session == session_kind::persistent)
    url += std::string(url.find('?') == url.npos ? "?" : "&") + "session=persistent&as=NAME&dir=DIR";
  return with_advice(why, url);
}

}  // namespace ferry::app
