#include "net/admin_http.hpp"

#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <list>
#include <utility>

#include "net/accept_loop.hpp"
#include "net/http_head.hpp"

namespace ferry::net {
namespace {

constexpr auto k_patience = std::chrono::seconds(5);  // for a request, its answer and the peer's end

const char* reason_of(int status) {
  switch (status) {
    case 200: return "OK";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 431: return "Request Header Fields Too Large";
    case 503: return "Service Unavailable";
    default: return "Bad Request";
  }
}

}  // namespace

struct admin_http::parts : std::enable_shared_from_this<parts> {
  class request;

  parts(context& where_, pages shown_)
      : where(where_),
        shown(std::move(shown_)),
        loop(where_.io(), {[this](std::shared_ptr<stream> who) { came(std::move(who)); }, [](const error&) {}}) {}

  void came(std::shared_ptr<stream> who);
  void close() noexcept;

  context& where;
  pages shown;
  accept_loop loop;
  std::list<std::shared_ptr<request>> all;
};

///   reading --whole head, or what is none--> answering --all written--> ending --the peer's end, or time--> over
class admin_http::parts::request final : public stream_events, public std::enable_shared_from_this<request> {
 public:
  request(std::shared_ptr<parts> home, std::shared_ptr<stream> carrier)
      : home_(std::move(home)), carrier_(std::move(carrier)), limit_(home_->where.io()) {}

  void begin() {
    carrier_->attach(*this, shared_from_this());
    limit_.expires_after(k_patience);
    limit_.async_wait([weak = weak_from_this()](const error_code& failed) {
      if (failed) return;
      if (const auto self = weak.lock()) self->over();
    });
    carrier_->async_read(room_);
  }
  void close() noexcept {
    home_ = nullptr;
    limit_.cancel();
    carrier_->close();
  }
  std::list<std::shared_ptr<request>>::iterator place;

 private:
  void over() {
    const auto kept = shared_from_this();
    if (home_) home_->all.erase(place);
    close();
  }
  void on_read(result<std::size_t> outcome) override {
    if (!home_ || !outcome) return over();
    if (!answer_.empty()) return carrier_->async_read(room_);  // until the peer ends
    std::size_t used = 0;
    switch (gather_head(head_, bytes(room_).first(*outcome), k_most_head, used)) {
      case head_outcome::need_more: return carrier_->async_read(room_);
      case head_outcome::whole: return answer(page());
      case head_outcome::too_large: return answer({431, {}, "the request is too large\n"});
      case head_outcome::no_http: return over();
    }
  }
  http_page page() {
    http_head asked;
    std::string wrong;
    if (!parse_request_head(head_, asked, wrong)) return {400, {}, "not a request of HTTP/1.1\n"};
    if (asked.method != "GET" && asked.method != "HEAD") return {405, {}, "only GET and HEAD\n"};
    only_head_ = asked.method == "HEAD";
    return home_->shown(std::string_view(asked.target).substr(0, asked.target.find('?')));
  }
  void answer(const http_page& what) {
    answer_ = "HTTP/1.1 " + std::to_string(what.status) + ' ' + reason_of(what.status) +
              "\r\nContent-Type: " + (what.type.empty() ? "text/plain; charset=utf-8" : what.type) +
              "\r\nContent-Length: " + std::to_string(what.body.size()) +
              "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n";
    if (!only_head_) answer_ += what.body;
    write();
  }
  void write() {
    while (sent_ < answer_.size()) {
      const bytes rest[] = {as_bytes(answer_).subspan(sent_)};
      const auto taken = carrier_->try_write(rest);
      if (!taken && taken.error() == errc::would_block) return carrier_->async_wait_writable();
      if (!taken) return over();
      sent_ += *taken;
    }
    (void)carrier_->shutdown_write();
    carrier_->async_read(room_);
  }
  void on_writable() override {
    if (home_) write();
  }

  std::shared_ptr<parts> home_;  // null: over
  std::shared_ptr<stream> carrier_;
  boost::asio::steady_timer limit_;
  std::array<std::byte, 2048> room_{};
  std::string head_, answer_;
  std::size_t sent_ = 0;
  bool only_head_ = false;
};

void admin_http::parts::came(std::shared_ptr<stream> who) {
  if (all.size() >= k_most_requests) return who->close();
  const auto one = all.emplace_back(std::make_shared<request>(shared_from_this(), std::move(who)));
  one->place = std::prev(all.end());
  one->begin();
}

void admin_http::parts::close() noexcept {
  loop.close();
  for (const auto& one : std::exchange(all, {})) one->close();
}

result<admin_http> admin_http::open(context& where, const std::string& url, pages shown) {
  options with;
  const auto parsed = parse_url(url, with, where.schemes());
  if (!parsed) return parsed.error();
  const auto transport = where.transport(parsed->scheme);
  if (!transport || transport->shape() != stream_shape::plain)
    return error(errc::unsupported, url + ": pages for operators are at tcp, tls or ipc");
  auto at = transport->listen(where, *parsed, with);
  if (!at) return at.error();
  const auto made = std::make_shared<parts>(where, std::move(shown));
  made->loop.start(std::move(*at));
  return admin_http(made);
}

admin_http& admin_http::operator=(admin_http&& other) noexcept {
  std::swap(parts_, other.parts_);
  return *this;
}
admin_http::~admin_http() {
  if (parts_) parts_->close();
}
std::string admin_http::url() const { return parts_->loop.local_url(); }

}  // namespace ferry::net
