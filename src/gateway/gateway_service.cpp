#include <ferry/gateway_service.hpp>

#include <algorithm>
#include <array>
#include <optional>

#include "gateway/command_table.hpp"
#include "gateway/gateway.hpp"
#include "gateway/pages.hpp"
#include "gateway/parameters.hpp"
#include "gateway/reconfigure.hpp"
#include "gateway/standard_commands.hpp"
#include "net/admin_http.hpp"

namespace ferry {
namespace {

// What `ferry gateway` does, and a gateway does not.
constexpr std::array<std::string_view, 8> k_of_the_program{
    "pid-file",           "log-file",           "mem-pool-type",      "mem-pool-factor",
    "mem-pool-min-chunk", "mem-pool-max-chunk", "mem-pool-page-size", "mem-pool-limit"};

// "/run/fastway" may be one here, where it is no file of the gateway itself.
result<gateway::configuration> read(const gateway_service::parameters& with) {
  gateway::configuration all;
  for (const auto& [name, value] : with) {
    const auto ours = gateway::canonical_parameter_name(name);
    if (std::find(k_of_the_program.begin(), k_of_the_program.end(), ours) != k_of_the_program.end())
      return error(errc::bad_option, name + " is of the program that the gateway runs in, not of the gateway");
    if (ours == "name")
      all.name = value;
    else if (const auto done = set_parameter(all, name, value); !done)
      return done.error();
  }
  if (const auto done = read_keys(all); !done) return done.error();
  if (const auto good = check(all); !good) return good.error();
  return all;
}

}  // namespace

struct gateway_service::parts {
  parts(gateway::service opened, const gateway::configuration& with) : it(std::move(opened)), holds(with) {
    gateway::add_standard_commands(commands, it, with.name.value_or(""));
  }
  gateway::service it;
  gateway::configuration holds;
  gateway::command_table commands;
  std::optional<net::admin_http> admin;
};

gateway_service::gateway_service(std::shared_ptr<parts> made) noexcept : parts_(std::move(made)) {}
gateway_service::gateway_service(gateway_service&&) noexcept = default;
gateway_service& gateway_service::operator=(gateway_service&&) noexcept = default;
gateway_service::~gateway_service() = default;

result<gateway_service> gateway_service::open(context& where, const parameters& with) {
  const auto all = read(with);
  if (!all) return all.error();
  auto opened = gateway::service::open(where, all->service);
  if (!opened) return opened.error();
  auto made = std::make_shared<parts>(std::move(*opened), *all);
  if (!all->admin_url.empty()) {
    auto admin = net::admin_http::open(where, all->admin_url,
                                       [&of = made->it](std::string_view path) { return gateway::page_of(path, of); });
    if (!admin) return admin.error().in("admin-addr");
    made->admin.emplace(std::move(*admin));
  }
  return gateway_service(std::move(made));
}

std::vector<std::string> gateway_service::client_urls() const { return parts_->it.urls(session::gateway_role::client); }
std::vector<std::string> gateway_service::server_urls() const { return parts_->it.urls(session::gateway_role::server); }
std::string gateway_service::admin_url() const { return parts_->admin ? parts_->admin->url() : std::string(); }

void gateway_service::add_command(gateway_command one) { parts_->commands.add(std::move(one)); }
result<std::string> gateway_service::run_command(std::string_view line) const { return parts_->commands.run(line); }
std::string gateway_service::page(std::string_view path) const { return gateway::page_of(path, parts_->it).body; }
result<std::vector<std::string>> gateway_service::change(const parameters& with) {
  const auto next = read(with);
  if (!next) return next.error();
  return gateway::reconfigure(parts_->it, parts_->holds, *next);
}
void gateway_service::stop(std::function<void()> done) { parts_->it.stop(parts_->holds.stop_within, std::move(done)); }

}  // namespace ferry
