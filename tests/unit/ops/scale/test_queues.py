"""The simulation of queues agrees with the formulas of queueing theory."""

import math

import pytest

from ops.scale.queues import Action, Executions, Meter, Simulation, Starts, Station


def erlang_b(load: float, servers: int) -> float:
    """Return the share of calls that find every server busy (Erlang's loss formula)."""
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked


@pytest.mark.parametrize(("rate", "servers"), [(50, 8), (50, 5), (200, 20), (200, 30)])
def test_the_share_of_refused_calls_is_that_of_erlang(rate: float, servers: int) -> None:
    simulation = Simulation(1)
    executions = Executions(simulation, servers, 0.1)

    def arrive() -> None:
        executions.call(1)
        simulation.after(simulation.random.expovariate(rate), arrive)

    arrive()
    simulation.run(60_000 / rate)
    share = executions.refused / (executions.refused + executions.accepted)
    assert share == pytest.approx(erlang_b(rate * 0.1, servers), rel=0.1, abs=0.002)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("constant", [True, False], ids=["constant", "exponential"])
def test_waiting_times_are_those_of_pollaczek_and_khinchine(load: float, constant: bool) -> None:
    """A station of one server: the mean wait is load / (1 - load) x (1 + variation) / 2 of a job's mean time."""
    simulation = Simulation(2)
    station = Station(1)
    waits: list[float] = []

    def arrive() -> None:
        came = simulation.now
        seconds = 1.0 if constant else simulation.random.expovariate(1)

        def work(done: Action) -> None:
            waits.append(simulation.now - came)
            simulation.after(seconds, done)

        station.add(work)
        simulation.after(simulation.random.expovariate(load), arrive)

    arrive()
    simulation.run(60_000 / load)
    expected = load / (1 - load) * (1 if constant else 2) / 2
    assert sum(waits) / len(waits) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("mean", [0.5, 5, 49, 51, 5_000])
def test_arrivals_have_the_mean_and_the_variance_of_poisson(mean: float) -> None:
    simulation = Simulation(3)
    numbers = [simulation.arrivals(mean * 10, 0.1) for _ in range(4_000)]
    average = sum(numbers) / len(numbers)
    assert average == pytest.approx(mean, rel=0.05)
    assert sum((number - average) ** 2 for number in numbers) / len(numbers) == pytest.approx(mean, rel=0.1)


def test_events_of_one_moment_happen_in_the_order_in_which_they_were_scheduled() -> None:
    simulation = Simulation(4)
    happened: list[str] = []
    for name in "abc":
        simulation.after(1, lambda name=name: happened.append(name))  # type: ignore[misc]
    simulation.after(0.5, lambda: happened.append("first"))
    simulation.after(3, lambda: happened.append("too late"))
    simulation.run(2)
    assert happened == ["first", "a", "b", "c"]
    assert simulation.now == 2


def test_a_meter_lets_its_users_wait_for_their_units() -> None:
    simulation = Simulation(5)
    meter = Meter(simulation, 100)
    assert [meter.use(50), meter.use(50)] == [0.5, 1.0]
    simulation.run(10)
    assert meter.use(50) == pytest.approx(0.5)


def test_a_station_serves_jobs_in_their_order_and_lets_the_others_wait() -> None:
    simulation = Simulation(6)
    station = Station(2)
    ended: list[tuple[float, int]] = []
    for number in range(5):

        def work(done: Action, number: int = number) -> None:
            def end() -> None:
                ended.append((simulation.now, number))
                done()

            simulation.after(1, end)

        station.add(work)
    assert station.waiting == 3
    simulation.run(10)
    assert ended == [(1, 0), (1, 1), (2, 2), (2, 3), (3, 4)]


def test_lambda_starts_1000_executions_at_once_and_100_a_second_after_that() -> None:
    simulation = Simulation(7)
    starts = Starts(simulation)
    assert starts.take(5_000) == 1_000
    assert starts.take(1) == 0
    simulation.run(2)
    assert starts.take(5_000) == 200
    simulation.run(100)
    assert starts.take(5_000) == 1_000, "Lambda doesn't save more than 1,000 starts"


def test_executions_start_only_as_far_as_calls_need_them() -> None:
    simulation = Simulation(8)
    executions = Executions(simulation, 50, 1, Starts(simulation))
    assert executions.call(30) == 0
    assert executions.call(30) == 10, "no more than 50 may run"
    simulation.run(1.5)
    assert executions.call(60) == 10
    assert (executions.accepted, executions.refused) == (100, 20)


def test_no_time_passes_in_an_empty_simulation_except_what_was_asked_for() -> None:
    simulation = Simulation(9)
    simulation.run(math.pi)
    assert simulation.now == math.pi
