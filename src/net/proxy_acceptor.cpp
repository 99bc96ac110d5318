#include "net/proxy_acceptor.hpp"

#include <utility>

#include "net/address_ranges.hpp"
#include "net/guests.hpp"
#include "net/proxied_stream.hpp"

namespace ferry::net {
namespace {

class proxied_guest final : public guest {
 public:
  explicit proxied_guest(std::shared_ptr<stream> arrived)
      : reading_(std::make_shared<proxied_stream>(std::move(arrived))), who_(reading_->peer().text()) {}
  ~proxied_guest() override {
    if (reading_) reading_->close();
  }

  void shake(shaken done) override {
    reading_->async_header([this, done = std::move(done)](const result<void>& outcome) {
      outcome ? done(std::shared_ptr<stream>(std::exchange(reading_, nullptr))) : done(explain(outcome.error()));
    });
  }
  [[nodiscard]] std::string who() const override { return who_; }

 private:
  static error explain(const error& why) {
    if (why != errc::protocol) return why;
    return {errc::protocol, why.text() + " (proxy_protocol=accept takes connections of a balancer only)"};
  }

  std::shared_ptr<proxied_stream> reading_;  // null once handed on
  std::string who_;
};

class proxied_house final : public guest_house {
 public:
  proxied_house(std::string url, std::vector<address_range> allowed)
      : url_(std::move(url)), allowed_(std::move(allowed)) {}

  [[nodiscard]] result<std::unique_ptr<guest>> welcome(std::shared_ptr<stream> arrived) override {
    const auto who = arrived->peer();
    if (!allowed_.empty() && !is_within(allowed_, who.address)) {
      arrived->close();
      return error(errc::auth, url_ + ": connection from " + who.text() + " refused: it is not in proxy_from");
    }
    return std::unique_ptr<guest>(std::make_unique<proxied_guest>(std::move(arrived)));
  }
  [[nodiscard]] std::string name() const override { return "PROXY header"; }

 private:
  std::string url_;
  std::vector<address_range> allowed_;  // empty: any
};

}  // namespace

std::unique_ptr<acceptor> accept_proxied(context& where, std::unique_ptr<acceptor> from, const options& with) {
  if (with.proxy_protocol == proxy_protocol_kind::off) return from;
  const std::string url = from->local_url();
  // Checked with the options; a text that cannot be read would let in everybody.
  auto allowed = parse_address_ranges(with.proxy_from).value();
  auto house = std::make_shared<proxied_house>(url, std::move(allowed));
  return accept_guests(where, std::move(from), url, with.connect_timeout, std::move(house));
}

}  // namespace ferry::net
