#pragma once
/// What `ferry gateway` and `ferry sidecar` do alike: where the log goes, pages for operators, and how it ends.

#include <ferry/context.hpp>
#include <ferry/error.hpp>

#include <optional>
#include <string>
#include <utility>

#include "apps/ferry/app.hpp"
#include "apps/ferry/log_file.hpp"
#include "net/admin_http.hpp"

namespace ferry::app {

/// Runs `serve` with the log in a file, or at standard error if the path is empty.
/// @param serve  takes a log_file*, null: standard error; gives why it could not begin, or nothing at its orderly end
/// @return the exit status; what went wrong is in the log, and said to who started it
template <class Serve>
int run_with_log(const std::string& path, Serve serve) {
  std::optional<log_file> file;
  if (!path.empty()) {
    auto taken = log_file::take(path);
    if (!taken) return complain(taken.error().in("log-file"));
    file.emplace(std::move(*taken));
  }
  const result<void> served = serve(file ? &*file : nullptr);
  if (served) return k_ok;
  if (file) say(served.error().text());
  file.reset();  // who started it looks at standard error
  return complain(served.error());
}

/// Listens for operators; nowhere if the URL is empty. @return as of admin_http::open
template <class Page>
result<std::optional<net::admin_http>> open_pages(context& where, const std::string& url, Page page) {
  std::optional<net::admin_http> made;
  if (url.empty()) return made;
  auto opened = net::admin_http::open(where, url, std::move(page));
  if (!opened) return opened.error().in("admin-addr");
  made.emplace(std::move(*opened));
  return made;
}

}  // namespace ferry::app
