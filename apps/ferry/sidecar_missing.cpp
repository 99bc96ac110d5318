// What takes the place of the sidecar in a program that was built without it.
#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_sidecar.hpp"
#include "apps/ferry/demo_services.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/inspect_sidecar.hpp"
#include "apps/ferry/transports.hpp"

namespace ferry::app {
namespace {

error without_it() { return {errc::unsupported, "this ferry was built without the sidecar (FERRY_SIDECAR=OFF)"}; }

}  // namespace

void add_sidecar(command_line app, int& exit_code) {
  const command_line command =
      app.add_command("sidecar", "Services of this host reach each other through rings in files", "");
  command.callback([&exit_code] { exit_code = complain(without_it()); });
}

void add_transports(context& /*where*/) {}

std::optional<demo_row> run_services_demo_row(const demo_text& /*text*/, const std::string& /*directory*/) {
  return std::nullopt;
}

std::optional<int> inspect_sidecar(const std::string& /*path*/, bool /*json*/) { return std::nullopt; }

result<bench::ring_comparison> measure_sidecar_round_trip(const ring_plan&) { return without_it(); }
result<bench::ring_comparison> measure_sidecar_rate(const ring_plan&) { return without_it(); }
result<bench::ring_comparison> measure_sidecar_broadcast(const ring_plan&) { return without_it(); }
result<bench::ring_comparison> measure_sidecar_broadcast_sending(const ring_plan&) { return without_it(); }
result<bench::ring_comparison> measure_sidecar_route_change(const ring_plan&) { return without_it(); }
result<bench::ring_comparison> measure_sidecar_idle(const ring_plan&) { return without_it(); }

}  // namespace ferry::app
