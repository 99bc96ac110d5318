#include "apps/ferry/bench_sides.hpp"

#include <cstring>
#include <thread>

namespace ferry::app {

void meeting_point::publish(bench::child& me, const std::string& url) {
  if (url.size() >= sizeof text_) me.fail(errc::bad_url, "the URL is too long");
  std::memcpy(text_, url.c_str(), url.size() + 1);
  there_.store(true, std::memory_order_release);  // pairs with: url
}

std::string meeting_point::url() const {
  while (!there_.load(std::memory_order_acquire)) std::this_thread::yield();  // pairs with: publish
  return text_;
}

void give_up(bench::child& me, const error& why) { me.fail(why.reason(), why.text().c_str()); }

result<endpoint> look_up(const std::string& url, options& with) {
  loop scratch;  // knows the schemes, and is never run
  const auto schemes = scratch.channels.schemes();
  return parse_url(url, with, schemes);
}

result<endpoint> look_up_between_processes(const std::string& url, options& with) {
  auto at = look_up(url, with);
  if (at && stays_in_process(at->scheme))
    return error(errc::unsupported, at->scheme + ":// stays in one process: its two ends cannot be told apart");
  return at;
}

bool stays_in_process(const std::string& scheme) {
  loop scratch;
  return scratch.channels.is_local(scheme);
}

}  // namespace ferry::app
