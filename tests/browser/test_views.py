"""Each view once in full, in the studio: it draws, its controls act, and what is chosen in it moves the others."""

import numpy as np
from tests.browser.seeing import changed, drawn, expect, picture, tile, until_chosen, until_other


def go(page, view: str) -> None:
    page.get_by_role("navigation", name="Views").get_by_role("button", name=view).click()


def shown_in_maps(page, image: str) -> None:
    """The view of maps is of the image that was chosen elsewhere."""
    go(page, "Maps")
    expect(page.locator("main .about")).to_contain_text(image)
    drawn(page.locator("main canvas").last)


def choose(page, label: str, value: str) -> None:
    page.locator("main").get_by_role("combobox", name=label, exact=True).select_option(value)


def test_flow_opens_a_unit_that_the_inspector_and_why_follow(look):
    page = look("flow", image="probe/0")
    before = drawn(tile(page, "conv2").locator("canvas").first)
    choose(page, "Colour scale", "unit")
    changed(tile(page, "conv2").locator("canvas").first, before)
    tile(page, "conv2").click()
    until_chosen(page, layer="conv2")
    maps = page.locator(".deep [role=slider]")
    drawn(maps.locator("canvas"))
    maps.click(position={"x": 20, "y": 20})
    until_chosen(page, layer="conv2", channel=0)
    place = page.get_by_role("slider", name="Place in channel 0 of conv2")
    place.click(position={"x": 60, "y": 90})
    unit = until_other(page, "unit")
    inspector = page.get_by_role("complementary")
    expect(inspector.get_by_role("code").first).to_have_text(f"conv2[{unit.replace(',', ', ')}]")
    expect(inspector).to_contain_text("products")
    page.get_by_role("button", name="Samples").click()
    page.locator(".gallery").get_by_label("probe/3").click()
    until_chosen(page, image="probe/3", unit=unit)
    go(page, "Why it answers")
    expect(page.locator("main .heads .picture[aria-pressed=true]")).to_have_attribute("aria-label", "Choose probe/3")
    expect(page.locator("main").get_by_role("combobox", name="layer", exact=True)).to_have_value("conv2")


def test_film_moves_with_the_time_line_and_the_maps_too(look, digits_run):
    page = look("film", image="probe/1", layer="conv1")
    frame = page.locator("main .now canvas").first
    before = drawn(frame)
    drawn(page.locator("main .curves canvas").first)
    line = page.get_by_label("Step of the training")
    line.focus()
    line.press("Home")
    expect(page.locator("main .now figcaption")).to_contain_text("step 0")
    changed(frame, before)
    until_chosen(page, step=0)
    page.get_by_role("button", name="Compare with another step").or_(page.get_by_role("button", name="Pin")).click()
    line.press("End")
    expect(page.locator("main figure.now")).to_have_count(2)
    until_chosen(page, step=digits_run.snapshot_steps[-1], beside=0)
    line.press("Home")
    choose(page, "Layer", "conv2")
    go(page, "Maps")
    expect(page.locator("main")).to_contain_text("The network as it was at step 0.")
    expect(page.locator("main").get_by_role("combobox", name="Layer", exact=True)).to_have_value("conv2")
    early = drawn(page.locator("main canvas").last)
    page.get_by_label("Step of the training").press("End")
    changed(page.locator("main canvas").last, early)


def test_why_draws_methods_and_a_class_that_is_asked_about_is_chosen_everywhere(look):
    page = look("why", image="probe/2")
    column = page.locator("main .column:not(.heads)").first
    cell = column.locator(".map canvas").first
    before = drawn(cell)
    expect(column.locator(".badge").first).to_contain_text("not checked yet")
    page.get_by_role("button", name="Map alone").click()
    changed(cell, before)
    choose(page, "explained", "class")
    asked = page.locator("main").get_by_role("combobox", name="class", exact=True)
    asked.fill("8")
    asked.press("Enter")
    until_chosen(page, **{"class": 8})
    page.locator("main .heads .picture").nth(1).click()
    image = until_other(page, "image", "probe/2")
    go(page, "Classes")
    expect(page.locator("main tr.own th").first).to_have_text("8")
    shown_in_maps(page, image)


def test_a_check_gives_maps_a_verdict_and_controls(look):
    page = look("why", image="probe/2")
    column = page.locator("main .column:not(.heads)").first
    column.get_by_role("button", name="Check", exact=True).click()
    expect(column.locator(".badge").first).not_to_contain_text("not checked yet")
    page.keyboard.press("c")
    drawn(column.locator(".controls canvas").first)
    column.locator(".badge").first.click()
    expect(page.locator("main")).to_contain_text("95 % interval")


def test_a_point_of_space_is_the_image_everywhere(look):
    page = look("space", image="probe/0")
    cloud = page.get_by_role("application", name="points")
    before = drawn(cloud.locator("canvas"))
    page.get_by_role("button", name="Nearer").click()
    changed(cloud.locator("canvas"), before)
    page.get_by_role("button", name="Fit").click()
    box = cloud.bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    cloud.focus()
    cloud.press("ArrowRight")
    cloud.press("ArrowRight")
    cloud.press("Enter")
    image = until_other(page, "image", "probe/0")
    assert image.startswith("validation/")
    expect(page.get_by_role("complementary").get_by_role("img").first).to_be_visible()
    page.get_by_role("button", name="Rectangle").click()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(*middle, steps=4)
    page.mouse.up()
    expect(page.locator("main").get_by_role("heading", name="in the region")).to_be_visible()
    drawn(page.locator("main ul[aria-label$='in the region'] canvas").first)
    shown_in_maps(page, image)


def test_a_cell_of_the_matrix_opens_its_images(look, digits_run):
    matrix = digits_run.scores.confusion * (1 - np.eye(10, dtype=int))
    truth, answer = (int(index) for index in np.unravel_index(matrix.argmax(), matrix.shape))
    count = int(matrix[truth, answer])
    page = look("classes", image="probe/0")
    cell = page.locator(f'main [data-cell="{truth},{answer}"]')
    expect(cell).to_have_text(str(count))
    cell.click()
    until_chosen(page, **{"class": truth})
    gallery = page.locator("main ul[aria-label*='answered']")
    expect(gallery.locator("li")).to_have_count(count)
    expect(gallery.locator("li").first).to_contain_text(f"{answer} ")
    drawn(gallery.locator("canvas").first)
    gallery.get_by_role("button").last.click()
    image = until_other(page, "image", "probe/0")
    assert image.startswith("test/")
    page.get_by_role("button", name="% of the row").click()
    expect(cell).not_to_have_text(str(count))
    page.get_by_role("button", name="validation").click()
    expect(page.locator("main")).to_contain_text("the figures are too good")
    shown_in_maps(page, image)


def test_compare_puts_two_networks_side_by_side(look):
    page = look("compare", image="probe/0")
    rows = page.locator("main .list tbody tr")
    page.locator("main").get_by_label("with", exact=False).first.select_option(label="small")
    expect(rows.first).to_be_visible()
    drawn(page.locator("main canvas").first)
    both_wrong = page.locator("main .kinds button").nth(3)
    count = int(both_wrong.locator(".count").inner_text())
    assert 3 < count < rows.count()
    both_wrong.click()
    expect(rows).to_have_count(count)
    expect(rows.locator(".wrong")).to_have_count(2 * count)
    rows.nth(3).get_by_role("button").click()
    image = until_other(page, "image", "probe/0")
    shown_in_maps(page, image)


def test_a_value_of_the_maps_opens_in_flow(look):
    page = look("maps", image="probe/4", layer="conv1")
    mosaic = page.locator("main [role=slider]")
    before = drawn(mosaic.locator("canvas"))
    choose(page, "Layer", "conv2")
    changed(mosaic.locator("canvas"), before)
    mosaic.click(position={"x": 30, "y": 30})
    unit = until_other(page, "unit")
    page.locator("main").get_by_role("button", name="Show as table").click()
    expect(page.locator("main table tbody tr").first).to_be_visible()
    go(page, "Flow")
    expect(page.locator("main .sum code")).to_have_text(f"conv2[{unit.replace(',', ', ')}]")


def test_a_filter_opens_its_channel(look):
    page = look("filters")
    mosaic = page.locator("main [role=slider]").first
    before = drawn(mosaic.locator("canvas"))
    choose(page, "Colour scale", "unit")
    changed(mosaic.locator("canvas"), before)
    mosaic.focus()
    mosaic.press("ArrowRight")
    channel = until_other(page, "channel")
    until_chosen(page, layer="conv1")
    go(page, "Channel")
    expect(page.locator("main .pair input")).to_have_value(channel)
    expect(page.locator("main").get_by_role("combobox", name="layer", exact=True)).to_have_value("conv1")


def test_a_channel_shows_what_excites_it(look):
    page = look("channel", layer="conv2", channel=1, image="probe/0")
    expect(page.locator("main .pair input")).to_have_value("1")
    drawn(page.locator("main .tops canvas").first)
    before = picture(page.locator("main .tops canvas").first)
    page.locator("main [aria-keyshortcuts=']']").click()
    until_chosen(page, channel=2)
    changed(page.locator("main .tops canvas").first, before)
    page.locator("main .tops li button").first.click()
    assert until_other(page, "unit").startswith("2,")
    image = until_other(page, "image", "probe/0")
    shown_in_maps(page, image)
