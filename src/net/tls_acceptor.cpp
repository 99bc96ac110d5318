#include "net/tls_acceptor.hpp"

#include <chrono>
#include <utility>

#include "net/guests.hpp"
#include "net/tls_stream.hpp"

namespace ferry::net {
namespace {

class tls_guest final : public guest {
 public:
  explicit tls_guest(std::shared_ptr<tls_stream> shaking) : shaking_(std::move(shaking)) {}
  ~tls_guest() override {
    if (shaking_) shaking_->close();
  }

  void shake(shaken done) override {
    shaking_->async_handshake([this, done = std::move(done)](const result<void>& outcome) {
      outcome ? done(std::shared_ptr<stream>(std::exchange(shaking_, nullptr))) : done(outcome.error());
    });
  }
  [[nodiscard]] std::string who() const override { return shaking_->peer().text(); }

 private:
  std::shared_ptr<tls_stream> shaking_;  // null once handed on
};

class tls_house final : public guest_house {
 public:
  tls_house(context& where, std::string url, std::shared_ptr<tls_context> rules, tls_files files)
      : where_(where), url_(std::move(url)), rules_(std::move(rules)), files_(std::move(files)) {}

  [[nodiscard]] result<std::unique_ptr<guest>> welcome(std::shared_ptr<stream> arrived) override {
    read_changed_files();
    auto link = rules_->start({}, 0);
    if (!link) {
      arrived->close();
      return link.error();
    }
    return std::unique_ptr<guest>(std::make_unique<tls_guest>(
        std::make_shared<tls_stream>(where_.io(), where_.shared_buffers(), std::move(arrived), std::move(*link))));
  }

  void shaken(const stream& made, options::duration took) override {
    auto& totals = where_.totals();
    totals.tls_handshakes.add(1);
    totals.tls_resumed.add(made.peer().tls->resumed ? 1 : 0);
    totals.tls_handshake_nanoseconds.record(static_cast<std::uint64_t>(took.count()));
  }
  void failed(const error&) override { where_.totals().tls_handshake_failures.add(1); }
  [[nodiscard]] std::string name() const override { return "TLS handshake"; }

 private:
  void read_changed_files() {
    if (!files_.changed()) return;
    auto fresh = tls_context::make(tls_role::listen, rules_->settings());
    if (fresh) {
      rules_ = std::move(*fresh);
      where_.totals().tls_reloads.add(1);
      where_.log(log_level::info, "tls", [&] { return url_ + ": certificates were read again"; });
    } else {
      where_.totals().tls_reload_failures.add(1);
      where_.log(log_level::warn, "tls", [&] {
        return url_ + ": changed certificates cannot be used, the old ones remain: " + fresh.error().text();
      });
    }
  }

  context& where_;
  std::string url_;
  std::shared_ptr<tls_context> rules_;
  tls_files files_;
};

}  // namespace

result<std::unique_ptr<acceptor>> accept_tls(context& where, const std::string& scheme, std::unique_ptr<acceptor> from,
                                             const options& with) {
  tls_files files(with);  // before they are read, so that no change is missed
  auto rules = tls_context::make(tls_role::listen, with);
  if (!rules) {
    from->close();
    return rules.error();
  }
  std::string url = from->local_url();
  url = scheme + url.substr(url.find(':'));
  auto house = std::make_shared<tls_house>(where, url, std::move(*rules), std::move(files));
  return accept_guests(where, std::move(from), std::move(url), with.connect_timeout, std::move(house));
}

}  // namespace ferry::net
