#include "net/ws_acceptor.hpp"

#include <utility>

#include "net/guests.hpp"
#include "net/ws_settings.hpp"

namespace ferry::net {
namespace {

class ws_guest final : public guest {
 public:
  ws_guest(std::shared_ptr<ws_stream> shaking, std::shared_ptr<const ws_server_rules> taken)
      : shaking_(std::move(shaking)), taken_(std::move(taken)) {}
  ~ws_guest() override {
    if (shaking_) shaking_->close();
  }

  void shake(shaken done) override {
    shaking_->async_handshake(ws_server_handshake(taken_, shaking_->peer().address),
                              [this, done = std::move(done)](const result<void>& outcome) {
                                outcome ? done(std::shared_ptr<stream>(std::exchange(shaking_, nullptr)))
                                        : done(outcome.error());
                              });
  }
  void leave(const error& why) override {
    constexpr int k_request_timeout = 408, k_service_unavailable = 503;
    shaking_->refuse(why == errc::busy ? k_service_unavailable : k_request_timeout, why.text());
  }
  [[nodiscard]] std::string who() const override { return shaking_->peer().text(); }

 private:
  std::shared_ptr<ws_stream> shaking_;  // null once handed on
  std::shared_ptr<const ws_server_rules> taken_;
};

class ws_house final : public guest_house {
 public:
  ws_house(context& where, ws_acceptor_settings with) : where_(where), with_(std::move(with)) {}

  [[nodiscard]] result<std::unique_ptr<guest>> welcome(std::shared_ptr<stream> arrived) override {
    return std::unique_ptr<guest>(
        std::make_unique<ws_guest>(std::make_shared<ws_stream>(std::move(arrived), with_.rules), with_.taken));
  }
  void shaken(const stream&, options::duration) override { where_.totals().ws_handshakes.add(1); }
  void failed(const error&) override { where_.totals().ws_handshake_failures.add(1); }
  [[nodiscard]] std::string name() const override { return "WebSocket handshake"; }

 private:
  context& where_;
  ws_acceptor_settings with_;
};

/// Where frames are spoken from the first byte on.
class ws_raw_acceptor final : public acceptor {
 public:
  ws_raw_acceptor(std::unique_ptr<acceptor> from, ws_acceptor_settings with)
      : from_(std::move(from)), with_(std::move(with)) {}

  [[nodiscard]] result<std::shared_ptr<stream>> try_accept() override {
    auto arrived = from_->try_accept();
    if (!arrived) return arrived;
    auto made = std::make_shared<ws_stream>(std::move(*arrived), with_.rules);
    made->start_raw();
    return std::shared_ptr<stream>(std::move(made));
  }
  void async_wait(std::function<void()> ready) override { from_->async_wait(std::move(ready)); }
  result<void> refuse_new() override { return from_->refuse_new(); }
  void close() noexcept override { from_->close(); }
  [[nodiscard]] std::string local_url() const override { return with_.url; }

 private:
  std::unique_ptr<acceptor> from_;
  ws_acceptor_settings with_;
};

}  // namespace

std::unique_ptr<acceptor> accept_ws(context& where, std::unique_ptr<acceptor> from, ws_acceptor_settings with) {
  if (!with.taken) return std::make_unique<ws_raw_acceptor>(std::move(from), std::move(with));
  const std::string url = with.url;
  const auto limit = with.handshake_timeout;
  auto house = std::make_shared<ws_house>(where, std::move(with));
  return accept_guests(where, std::move(from), url, limit, std::move(house));
}

}  // namespace ferry::net
