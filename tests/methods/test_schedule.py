import numpy as np
import pytest

from and_tf.errors import UserError
from and_tf.methods.rounds import RoundPlan
from and_tf.methods.schedule import RoundSchedule


def test_step_policy_equals_the_authors_rates_in_every_round(golden):
    arrays = golden("d_lr_step")
    schedule = RoundSchedule(0.03, "step", 3, RoundPlan(rounds=2, epochs_per_round=200))
    for number in range(3):
        rates = [float(schedule(3 * (200 * number + epoch) + 2)) for epoch in arrays["epoch"]]
        np.testing.assert_allclose(rates, arrays["lr"], rtol=1e-6)


def test_step_policy_drops_at_60_and_80_percent_of_short_rounds():
    schedule = RoundSchedule(0.03, "step", 1, RoundPlan(rounds=0, epochs_per_round=10))
    rates = [float(schedule(epoch)) for epoch in range(10)]
    np.testing.assert_allclose(rates, [0.03] * 6 + [0.003] * 2 + [0.0003] * 2, rtol=1e-6)


def test_a_constant_rate_stays_as_it_is():
    schedule = RoundSchedule(0.3, "constant", 2, RoundPlan(2, 5))
    assert [float(schedule(step)) for step in (0, 7, 100)] == [pytest.approx(0.3)] * 3


def test_cosine_restarts_in_each_round_and_cosine_run_does_not():
    plan = RoundPlan(rounds=1, epochs_per_round=5, first_round_epochs=10)
    per_round = RoundSchedule(1.0, "cosine", 2, plan)
    whole = RoundSchedule(1.0, "cosine_run", 2, plan)
    np.testing.assert_allclose(
        [float(per_round(s)) for s in (0, 10, 20, 25)], [1, 0.5, 1, 0.5], atol=1e-6
    )
    np.testing.assert_allclose([float(whole(s)) for s in (0, 15, 29)], [1, 0.5, 0.00274], atol=1e-4)


def test_plan_knows_rounds_of_different_length():
    plan = RoundPlan(rounds=2, epochs_per_round=3, first_round_epochs=5)
    assert plan.total_epochs == 11
    assert [plan.round_of(epoch) for epoch in range(12)] == [0] * 5 + [1] * 3 + [2] * 4
    assert [e for e in range(11) if plan.ends_round(e)] == [4, 7, 10]
    assert RoundPlan(rounds=0, epochs_per_round=4).total_epochs == 4


PLANS = [RoundPlan(0, 0), RoundPlan(0, 3), RoundPlan(0, 3, 2), RoundPlan(3, 1), RoundPlan(2, 4, 1)]


@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_and_its_rates_follow_from_a_list_of_its_rounds(plan):
    first = plan.first_round_epochs or plan.epochs_per_round
    starts = [0, *(first + r * plan.epochs_per_round for r in range(plan.rounds + 1))]
    assert [plan.start_of(number) for number in range(plan.rounds + 2)] == starts
    assert plan.total_epochs == starts[-1]
    schedule = RoundSchedule(1.0, "cosine", 3, plan)
    for epoch in range(-1, starts[-1] + 3):
        number = sum(epoch >= start for start in starts[1:-1])
        assert plan.round_of(epoch) == number
        assert plan.ends_round(epoch) is (epoch + 1 in starts)
        if 0 <= epoch < starts[-1]:
            length = 3 * (starts[number + 1] - starts[number])
            done = (3 * (epoch - starts[number]) + 1) / length
            expected = 0.5 * (1 + np.cos(np.pi * done))
            assert float(schedule(3 * epoch + 1)) == pytest.approx(expected, abs=1e-6)


def test_a_plan_of_a_billion_rounds_is_arithmetic():
    plan = RoundPlan(rounds=2**31 - 2, epochs_per_round=1)
    assert plan.total_epochs == 2**31 - 1 and plan.round_of(10**9) == 10**9
    assert plan.ends_round(10**9) and not plan.ends_round(2**31)
    schedule = RoundSchedule(0.5, "step", 1, plan)
    assert float(schedule(10**9)) == float(schedule(2**31 - 2)) == 0.5


@pytest.mark.parametrize("policy", ["step", "constant"])
def test_more_steps_than_are_counted_are_refused(policy):
    with pytest.raises(UserError, match=r"has 4,294,967,292 steps, .* lower rounds=2147483645"):
        RoundSchedule(0.03, policy, 2, RoundPlan(rounds=2**31 - 3, epochs_per_round=1))


@pytest.mark.parametrize(
    "wrong", [{"rounds": -1}, {"epochs_per_round": 0}, {"first_round_epochs": -2}]
)
def test_plan_refuses_impossible_rounds(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        RoundPlan(**wrong)


def test_unknown_policy_is_named():
    with pytest.raises(ValueError, match="'warm'"):
        RoundSchedule(0.03, "warm", 1, RoundPlan())
