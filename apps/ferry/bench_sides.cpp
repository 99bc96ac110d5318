#include "apps/ferry/bench_sides.hpp"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "bench/tls_line.hpp"

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

result<std::string> url_to_listen(const endpoint& at, const std::string& url) {
  if (at.scheme != "sidecar") return url;
  std::string wanted;
  for (const auto& [key, value] : at.query)
    if (key == "to") wanted = value;
  if (wanted.empty()) return error(errc::bad_address, "whom to measure: write sidecar://DIR?to=ENTITY");
  std::error_code failed;
  const std::filesystem::path beside = std::filesystem::path(at.path + "/").parent_path().parent_path();
  for (std::filesystem::directory_iterator one(beside, failed), end; !failed && one != end; one.increment(failed)) {
    std::string service, entity;
    if (std::ifstream(one->path() / "entity") >> service >> entity && entity == wanted)
      return endpoint{"sidecar", {}, 0, one->path().string(), {}}.text();
  }
  return error(errc::not_found, "no directory in " + beside.string() + " is of entity " + wanted +
                                    ": run `ferry bench serve sidecar://DIR` with its directory, and add --external");
}

result<void> bring_certificate(const std::string& url, options& with, const std::string& directory) {
  const auto scheme = url.substr(0, url.find("://"));
  if (!speaks_tls(scheme)) return {};
  auto all = with;
  if (const auto at = look_up(url, all); !at) return at.error();
  if (!all.tls_certificate.empty() || !all.tls_ca.empty()) return {};
  with.tls_ca = with.tls_certificate = directory + "/certificate";
  if (!bench::write_certificate(with.tls_ca))
    return error(errc::unsupported,
                 "a certificate for " + scheme + " could not be made: name one with tls_certificate");
  return {};
}

std::string free_url(const std::string& scheme, const std::string& directory) {
  if (scheme == "inproc") return "inproc://meeting";
  if (scheme == "shm") return "shm://meeting?runtime_dir=" + directory;
  if (scheme == "ipc") return "ipc://" + directory + "/socket";
  if (scheme == "ws+ipc") return "ws+ipc://" + directory + "/websocket?path=/meeting";
  const bool http = scheme == "ws" || scheme == "wss";
  return scheme + "://127.0.0.1:0" + (http ? "/meeting" : "");
}

bool speaks_tls(const std::string& scheme) { return scheme == "tls" || scheme.starts_with("wss"); }

bool stays_in_process(const std::string& scheme) {
  loop scratch;
  return scratch.channels.is_local(scheme);
}

}  // namespace ferry::app
