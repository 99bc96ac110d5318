#include "gateway/client_check.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cctype>
#include <deque>
#include <list>
#include <optional>
#include <utility>
#include <vector>

#include "gateway/doors.hpp"
#include "os/child_process.hpp"

namespace ferry::gateway {
namespace {

namespace asio = boost::asio;

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char small = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

std::string decoded(std::string_view text) {
  std::string made;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0;
    if (!escape || hex_digit(text[i + 2]) < 0) {
      made += text[i];
      continue;
    }
    made += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
    i += 2;
  }
  return made;
}

// Ours, without what only the gateway should know, and what is to be checked.
std::vector<std::string> environment_for(const peer_info& who) {
  std::vector<std::string> made;
  for (char** one = environ; *one != nullptr; ++one)
    if (!std::string_view(*one).starts_with("FERRY_")) made.emplace_back(*one);
  made.push_back("FERRY_CLIENT_ADDRESS=" + who.address);
  if (who.websocket && who.websocket->request) made.push_back("FERRY_CLIENT_PATH=" + who.websocket->request->path);
  return made;
}

// Of whom one waits to hear: the program that is asked, and how long.
struct question {
  question(asio::io_context& io, std::shared_ptr<stream> who_, os::child_process asked_)
      : who(std::move(who_)), asked(std::move(asked_)), ended(io, ::dup(asked.ended_fd())), limit(io) {}
  std::shared_ptr<stream> who;
  os::child_process asked;
  asio::posix::stream_descriptor ended;
  asio::steady_timer limit;
};

class checked_acceptor final : public acceptor {
 public:
  checked_acceptor(asio::io_context& io, std::unique_ptr<acceptor> from, client_check_settings with, client_gate& gate,
                   waiting_at where)
      : state_(std::make_shared<state>(io, std::move(from), std::move(with), gate, where)) {}
  ~checked_acceptor() override { close(); }

  [[nodiscard]] result<std::shared_ptr<stream>> try_accept() override {
    if (state_->answered.empty()) return errc::would_block;
    auto first = std::move(state_->answered.front());
    state_->answered.pop_front();
    return first;
  }
  void async_wait(std::function<void()> ready) override {
    state_->ready = std::move(ready);
    if (!state_->answered.empty()) return state_->tell_later();
    state_->ask_more();
  }
  void close() noexcept override { state_->close(); }
  [[nodiscard]] std::string local_url() const override { return state_->from->local_url(); }

 private:
  struct state : std::enable_shared_from_this<state> {
    state(asio::io_context& io_, std::unique_ptr<acceptor> from_, client_check_settings with_, client_gate& gate_,
          waiting_at where_)
        : io(io_),
          from(std::move(from_)),
          with(std::move(with_)),
          gate(gate_),
          where(where_),
          words(words_of(with.command)) {}

    [[nodiscard]] bool may_ask() const noexcept { return asked.size() + answered.size() < with.at_once; }
    void ask_more() {
      while (!closed) {
        if (may_ask() && !waiting.empty()) {
          ask(std::move(waiting.front()));
          waiting.pop_front();
          continue;
        }
        if (!may_ask() && where == waiting_at::socket) return;
        auto came = from->try_accept();
        if (!came && came.error() == errc::would_block) {
          if (std::exchange(waits, true)) return;
          return from->async_wait([weak = weak_from_this()] {
            const auto self = weak.lock();
            if (!self) return;
            self->waits = false;
            self->ask_more();
          });
        }
        if (!came) return answer(came.error());
        if (gate.enter(**came))
          waiting.push_back(std::move(*came));
        else
          (*came)->close();
      }
    }
    void ask(std::shared_ptr<stream> who) {
      const auto peer = who->peer();
      const auto token = peer.websocket && peer.websocket->request ? token_of(*peer.websocket->request) : std::string();
      if (token.size() > k_most_token || std::any_of(token.begin(), token.end(), is_control))
        return refuse(*who, "its token cannot be one");
      auto program = os::child_process::start(words, environment_for(peer), token + "\n");
      if (!program) return refuse(*who, program.error().text());
      const auto one = asked.emplace(asked.end(), io, std::move(who), std::move(*program));
      one->ended.async_wait(asio::posix::stream_descriptor::wait_read,
                            [self = shared_from_this(), one](const error_code& failed) {
                              if (!failed && !self->closed && one->who) self->heard(one, one->asked.reap());
                            });
      one->limit.expires_after(std::min(with.timeout, k_longest_wait));
      one->limit.async_wait([self = shared_from_this(), one](const error_code& failed) {
        if (!failed && !self->closed) self->heard(one, std::nullopt);
      });
    }
    /// @param status  nothing: it did not end in time
    void heard(std::list<question>::iterator one, std::optional<int> status) {
      const auto who = std::move(one->who);
      if (!who) return;  // it ended and took too long, both
      one->ended.cancel();
      one->limit.cancel();
      // Its handlers refer to it, until they have been called.
      gone.splice(gone.end(), asked, one);
      asio::post(io, [self = shared_from_this(), one] { self->gone.erase(one); });
      if (status == 0)
        answer(who);
      else
        refuse(*who, status ? "the check ended with status " + std::to_string(*status) : "the check took too long");
      ask_more();
    }
    void refuse(stream& who, const std::string& why) {
      const auto address = who.peer().text();
      gate.leave(who);
      who.close();
      answer(error(errc::auth, address + " is turned away: " + why));
    }
    void answer(result<std::shared_ptr<stream>> what) {
      answered.push_back(std::move(what));
      tell_later();
    }
    void tell_later() {
      if (!ready || std::exchange(told, true)) return;
      asio::post(io, [self = shared_from_this()] {
        self->told = false;
        if (const auto then = std::exchange(self->ready, nullptr); then && !self->closed) then();
      });
    }
    void close() noexcept {
      if (std::exchange(closed, true)) return;
      from->close();
      ready = nullptr;
      for (auto& one : asked) {
        one.who->close();
        one.ended.close();
        one.limit.cancel();
      }
      for (const auto& one : std::exchange(waiting, {})) one->close();
      for (auto& one : std::exchange(answered, {}))
        if (one) (*one)->close();
    }

    asio::io_context& io;
    std::unique_ptr<acceptor> from;
    client_check_settings with;
    client_gate& gate;  // not used after close()
    waiting_at where;
    std::vector<std::string> words;
    std::deque<std::shared_ptr<stream>> waiting;  // who has entered, and nobody has asked about
    std::list<question> asked, gone;
    std::deque<result<std::shared_ptr<stream>>> answered;
    std::function<void()> ready;
    bool waits = false;  // `from` will call
    bool told = false;   // `ready` is about to be called
    bool closed = false;
  };
  std::shared_ptr<state> state_;
};

}  // namespace

std::string token_of(const http_request& request) {
  constexpr std::string_view bearer = "bearer ";
  const auto field = request.header("Authorization");
  if (field.size() > bearer.size() && std::equal(bearer.begin(), bearer.end(), field.begin(), [](char a, char b) {
        return a == static_cast<char>(std::tolower(static_cast<unsigned char>(b)));
      }))
    return std::string(field.substr(bearer.size()));
  if (const auto cookie = request.cookie("token")) return std::string(*cookie);
  for (std::string_view rest = request.query; !rest.empty();) {
    const auto end = std::min(rest.size(), rest.find('&'));
    if (rest.starts_with("token=")) return decoded(rest.substr(6, end - 6));
    rest.remove_prefix(std::min(rest.size(), end + 1));
  }
  return {};
}

std::unique_ptr<acceptor> check_clients(context& where, std::unique_ptr<acceptor> from, client_check_settings with,
                                        client_gate& gate, waiting_at at) {
  if (with.command.empty()) return from;
  return std::make_unique<checked_acceptor>(where.io(), std::move(from), std::move(with), gate, at);
}

}  // namespace ferry::gateway
