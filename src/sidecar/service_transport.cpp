// sidecar://DIR?to=ENTITY
#include <ferry/options.hpp>
#include <ferry/sidecar_transport.hpp>
#include <ferry/stream.hpp>
#include <ferry/url.hpp>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <charconv>
#include <deque>
#include <map>
#include <mutex>
#include <utility>

#include "net/posted_attempt.hpp"
#include "sidecar/service_hub.hpp"
#include "sidecar/service_stream.hpp"

namespace ferry::sidecar {
namespace {

class service_attempt final : public connect_attempt {
 public:
  service_attempt(std::shared_ptr<service_hub> hub, std::uint32_t to, stream_transport::connect_handler done)
      : hub_(std::move(hub)), done_(std::make_shared<stream_transport::connect_handler>(std::move(done))) {
    hub_->connect(to, done_);
  }
  ~service_attempt() override {
    *done_ = nullptr;
    hub_->forget(done_);
  }

 private:
  std::shared_ptr<service_hub> hub_;
  std::shared_ptr<stream_transport::connect_handler> done_;
};

class service_acceptor final : public acceptor, private stream_arrivals {
 public:
  service_acceptor(std::shared_ptr<service_hub> hub, std::size_t backlog) : hub_(std::move(hub)), backlog_(backlog) {}
  ~service_acceptor() override { close(); }
  [[nodiscard]] result<void> start() { return hub_->listen(*this); }

  [[nodiscard]] result<std::shared_ptr<stream>> try_accept() override {
    if (!hub_) return errc::closed;
    if (arrived_.empty()) return errc::would_block;
    auto one = std::move(arrived_.front());
    arrived_.pop_front();
    return std::shared_ptr<stream>(std::move(one));
  }
  void async_wait(std::function<void()> ready) override {
    ready_ = std::make_shared<std::function<void()>>(std::move(ready));
    if (!arrived_.empty()) tell();
  }
  void close() noexcept override {
    if (!hub_) return;
    hub_->stop_listening(*this);
    if (ready_) *ready_ = nullptr;
    for (const auto& one : std::exchange(arrived_, {})) one->close();
    hub_ = nullptr;
  }
  [[nodiscard]] std::string local_url() const override {
    return hub_ ? endpoint{"sidecar", {}, 0, hub_->directory(), {}}.text() : std::string();
  }

 private:
  [[nodiscard]] bool arrived(std::shared_ptr<service_stream> one) override {
    if (arrived_.size() >= backlog_) return false;
    arrived_.push_back(std::move(one));
    if (ready_) tell();
    return true;
  }
  void tell() {
    boost::asio::post(hub_->where().io(), [ready = std::exchange(ready_, nullptr)] {
      if (const auto call = std::exchange(*ready, nullptr)) call();
    });
  }

  std::shared_ptr<service_hub> hub_;  // null: closed
  std::size_t backlog_;
  std::deque<std::shared_ptr<service_stream>> arrived_;
  std::shared_ptr<std::function<void()>> ready_;
};

bool names_entity(const std::pair<std::string, std::string>& one) { return one.first == "to"; }

result<std::uint32_t> entity_of(const endpoint& to) {
  std::uint32_t entity = 0;
  if (std::count_if(to.query.begin(), to.query.end(), names_entity) == 1) {
    const auto& text = std::find_if(to.query.begin(), to.query.end(), names_entity)->second;
    const auto* const end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, entity);
    if (read.ec == std::errc() && read.ptr == end) return entity;
  }
  return error(errc::bad_address, "whom to connect to: write sidecar://DIR?to=ENTITY, with the number of the entity");
}

class service_transport final : public stream_transport {
 public:
  [[nodiscard]] result<std::unique_ptr<acceptor>> listen(context& where, const endpoint& at,
                                                         const options& with) override {
    if (std::any_of(at.query.begin(), at.query.end(), names_entity))
      return error(errc::bad_address, "who listens has no `to`: write sidecar://DIR, with the directory of its entity");
    auto hub = hub_of(where, at.path);
    if (!hub) return hub.error();
    auto made = std::make_unique<service_acceptor>(std::move(*hub), with.backlog);
    if (const auto listens = made->start(); !listens) return listens.error();
    return std::unique_ptr<acceptor>(std::move(made));
  }
  [[nodiscard]] std::unique_ptr<connect_attempt> connect(context& where, const endpoint& to, const options&,
                                                         connect_handler done) override {
    const auto entity = entity_of(to);
    if (!entity) return std::make_unique<net::posted_attempt>(where.io(), entity.error(), std::move(done));
    auto hub = hub_of(where, to.path);
    if (!hub) return std::make_unique<net::posted_attempt>(where.io(), hub.error(), std::move(done));
    return std::make_unique<service_attempt>(std::move(*hub), *entity, std::move(done));
  }

 private:
  using key = std::pair<const context*, std::string>;
  // One for all streams of a directory; it goes with the last of them.
  [[nodiscard]] result<std::shared_ptr<service_hub>> hub_of(context& where, const std::string& directory) {
    const std::lock_guard guard(lock_);
    std::erase_if(hubs_, [](const auto& one) { return one.second.expired(); });
    auto& slot = hubs_[key(&where, directory)];
    if (auto there = slot.lock()) return there;
    auto made = std::make_shared<service_hub>(where, directory);
    if (const auto started = made->start(); !started) return started.error();
    slot = made;
    return made;
  }
  std::mutex lock_;  // contexts of several threads may share this
  std::map<key, std::weak_ptr<service_hub>> hubs_;
};

}  // namespace
}  // namespace ferry::sidecar

namespace ferry {

void add_sidecar_transport(context& where) {
  where.register_transport("sidecar", std::make_shared<sidecar::service_transport>());
}

}  // namespace ferry
