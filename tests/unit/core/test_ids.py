"""Ids below a stream are functions of their place."""

from __future__ import annotations

from uuid import UUID

from core import ids

STREAM = ids.StreamId(UUID("557d54ec-29ad-4f3c-93b4-c9092ef12515"))
OTHER = ids.StreamId(UUID("b668c4a5-2191-476e-a261-3b4f9ce2e25e"))


def test_equal_places_give_equal_ids() -> None:
    assert ids.event_id(STREAM, ids.Run(1), 0, 3) == ids.event_id(STREAM, ids.Run(1), 0, 3)


def test_every_part_of_an_events_place_counts() -> None:
    made = {
        ids.event_id(stream, ids.Run(run), index, number)
        for stream in (STREAM, OTHER)
        for run in (1, 2, 11)
        for index in (0, 1, 11)
        for number in (1, 2, 11)
    }
    assert len(made) == 2 * 3 * 3 * 3


def test_every_part_of_a_views_place_counts() -> None:
    made = {
        ids.view_id(stream, ids.Run(run), ids.TrackId(track), ids.Seq(seq), kind)
        for stream in (STREAM, OTHER)
        for run in (1, 11)
        for track in (1, 11)
        for seq in (0, 1, 11)
        for kind in ("appearance", "face")
    }
    assert len(made) == 2 * 2 * 2 * 3 * 2


def test_ids_stay_what_was_published() -> None:
    assert str(ids.event_id(STREAM, ids.Run(1), 0, 1)) == "f43d5517-d0d7-5bdd-85f0-d04772a25256"


def test_media_keys_lie_under_their_stream() -> None:
    view = ids.view_id(STREAM, ids.Run(2), ids.TrackId(1), ids.Seq(4), "appearance")
    assert ids.media_key(STREAM, ids.Run(2), view) == f"{STREAM}/2/{view}.jpg"


def test_the_engine_surface_names_a_stream_by_its_last_sixteen_digits() -> None:
    assert ids.engine_stream_id(STREAM) == "93b4c9092ef12515"


def test_a_cloud_events_id_differs_by_phase_and_number() -> None:
    event = ids.event_id(STREAM, ids.Run(1), 0, 1)
    made = {ids.ce_id(event, phase, number) for phase in ("begin", "update", "end") for number in (0, 1)}
    assert len(made) == 6
    assert all(one.startswith(str(event)) for one in made)


def test_new_streams_get_new_ids() -> None:
    assert ids.new_stream_id() != ids.new_stream_id()
