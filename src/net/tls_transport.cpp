#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <chrono>
#include <map>
#include <mutex>
#include <utility>

#include "net/posted_attempt.hpp"
#include "net/tls_acceptor.hpp"
#include "net/tls_stream.hpp"
#include "net/transports.hpp"

namespace ferry::net {
namespace {

using clock = std::chrono::steady_clock;

// Connects below, then shakes hands.
class tls_attempt final : public connect_attempt {
 public:
  tls_attempt(context& where, stream_transport& below, const endpoint& to, const options& with,
              std::unique_ptr<tls_link> link, stream_transport::connect_handler done)
      : where_(where), to_(to), link_(std::move(link)), done_(std::move(done)) {
    connecting_ = below.connect(where, to, with, [this](result<std::shared_ptr<stream>> made) {
      made ? shake(std::move(*made)) : std::exchange(done_, nullptr)(made.error());
    });
  }
  ~tls_attempt() override {
    if (shaking_) shaking_->close();
  }
  void on_handshake(std::function<void()> began) override { handshake_began_ = std::move(began); }

 private:
  void shake(std::shared_ptr<stream> connected) {
    const auto begin = clock::now();
    shaking_ =
        std::make_shared<tls_stream>(where_.io(), where_.shared_buffers(), std::move(connected), std::move(link_));
    shaking_->async_handshake([this, begin](const result<void>& outcome) { finish(begin, outcome); });
    if (const auto began = std::exchange(handshake_began_, nullptr)) began();
  }

  void finish(clock::time_point begin, const result<void>& outcome) {
    auto& totals = where_.totals();
    const auto made = std::exchange(shaking_, nullptr);
    const auto done = std::exchange(done_, nullptr);  // which destroys this attempt
    if (!outcome) {
      totals.tls_handshake_failures.add(1);
      made->close();
      return done(outcome.error().in("TLS with " + to_.host + ":" + std::to_string(to_.port)));
    }
    const auto took = std::chrono::duration_cast<std::chrono::nanoseconds>(clock::now() - begin).count();
    totals.tls_handshakes.add(1);
    totals.tls_resumed.add(made->peer().tls->resumed ? 1 : 0);
    totals.tls_handshake_nanoseconds.record(static_cast<std::uint64_t>(took));
    done(std::shared_ptr<stream>(made));
  }

  context& where_;
  endpoint to_;
  std::unique_ptr<tls_link> link_;
  stream_transport::connect_handler done_;
  std::function<void()> handshake_began_;
  std::unique_ptr<connect_attempt> connecting_;
  std::shared_ptr<tls_stream> shaking_;
};

/// What connecting ends have read of their files, by the options that say which. Thread safety: all.
class tls_contexts {
 public:
  result<std::shared_ptr<tls_context>> find(const options& with) {
    // Whose password it was does not show in the options.
    if (with.tls_key_password || with.tls_check_peer) return tls_context::make(tls_role::connect, with);
    std::string key;
    for (const char* name : k_names) key.append(get_option(with, name)).append(1, '\n');
    const std::lock_guard guard(lock_);
    auto found = known_.find(key);
    if (found != known_.end() && !found->second.files.changed()) return found->second.rules;
    tls_files files(with);  // before they are read, so that no change is missed
    auto made = tls_context::make(tls_role::connect, with);
    if (!made) return made;
    if (known_.size() >= k_most) known_.clear();
    known_.insert_or_assign(key, entry{*made, std::move(files)});
    return made;
  }

 private:
  static constexpr std::size_t k_most = 64;
  static constexpr std::array k_names{
      "tls_certificate", "tls_key", "tls_key_password_file", "tls_ca",  "tls_verify", "tls_alpn",
      "tls_server_name", "tls_min", "tls_ciphers",           "tls_pin", "tls_resume"};
  struct entry {
    std::shared_ptr<tls_context> rules;
    tls_files files;
  };
  std::mutex lock_;
  std::map<std::string, entry> known_;  // guarded by lock_
};

class tls_transport final : public stream_transport {
 public:
  explicit tls_transport(std::shared_ptr<stream_transport> below) : below_(std::move(below)) {}

  [[nodiscard]] result<std::unique_ptr<acceptor>> listen(context& where, const endpoint& at,
                                                         const options& with) override {
    auto from = below_->listen(where, at, with);
    if (!from) return from.error();
    return accept_tls(where, at.scheme, std::move(*from), with);
  }

  [[nodiscard]] std::unique_ptr<connect_attempt> connect(context& where, const endpoint& to, const options& with,
                                                         connect_handler done) override {
    const auto rules = contexts_.find(with);
    if (!rules) return std::make_unique<posted_attempt>(where.io(), rules.error(), std::move(done));
    auto link = (*rules)->start(to.host.empty() || to.host == "*" ? "localhost" : to.host, to.port);
    if (!link) return std::make_unique<posted_attempt>(where.io(), link.error(), std::move(done));
    return std::make_unique<tls_attempt>(where, *below_, to, with, std::move(*link), std::move(done));
  }

 private:
  std::shared_ptr<stream_transport> below_;
  tls_contexts contexts_;
};

}  // namespace

result<void> check_tls_files(const options& with) {
  const auto made = tls_context::make(tls_role::listen, with);
  return made ? result<void>{} : made.error();
}

std::shared_ptr<stream_transport> make_tls_transport(std::shared_ptr<stream_transport> below) {
  return std::make_shared<tls_transport>(below ? std::move(below) : make_tcp_transport());
}

}  // namespace ferry::net
