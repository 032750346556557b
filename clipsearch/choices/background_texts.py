"""What may be in a picture, in everyday words: the crowd that a label has to stand out from.

The words are of many kinds on purpose: what is compared is a label with what else might be said of an image.
"""

from __future__ import annotations

from functools import lru_cache

_WORDS = """
person, man, woman, child, baby, face, hand, crowd, family, couple, soldier, player, dancer, singer, doctor, worker,
cook, farmer, student, tourist, dog, cat, horse, cow, sheep, pig, goat, chicken, duck, bird, owl, eagle, parrot, fish,
shark, whale, dolphin, seal, turtle, frog, snake, lizard, crocodile, elephant, lion, tiger, bear, wolf, fox, deer,
rabbit, mouse, squirrel, monkey, giraffe, zebra, camel, kangaroo, butterfly, bee, spider, beetle, ant, snail, crab,
jellyfish, tree, flower, rose, grass, leaf, bush, cactus, mushroom, moss, fern, vine, fruit, apple, banana, orange,
lemon, grape, strawberry, cherry, pear, pineapple, melon, tomato, potato, carrot, onion, cabbage, pumpkin, corn, bread,
cake, pizza, sandwich, soup, salad, cheese, egg, meat, rice, pasta, chocolate, ice cream, coffee, tea, wine, beer,
water, milk, juice, bottle, glass, cup, plate, bowl, spoon, knife, fork, pan, kettle, teapot, oven, fridge, sink, table,
chair, sofa, bed, lamp, shelf, cupboard, mirror, carpet, curtain, window, door, stairs, wall, floor, roof, chimney,
house, cottage, tower, castle, church, temple, bridge, tunnel, street, road, path, square, market, shop, office,
factory, school, hospital, station, airport, harbour, stadium, museum, theatre, restaurant, kitchen, bathroom, bedroom,
garden, park, field, farm, forest, jungle, desert, beach, sea, ocean, island, lake, river, waterfall, mountain, hill,
valley, cave, cliff, glacier, snow, ice, rain, storm, cloud, sky, sun, moon, star, rainbow, lightning, fire, smoke, fog,
sunset, night, day, shadow, car, bus, truck, van, taxi, motorcycle, bicycle, scooter, train, tram, boat, ship,
submarine, airplane, helicopter, balloon, rocket, tractor, crane, wheel, engine, traffic light, sign, fence, gate,
bench, fountain, statue, flag, clock, watch, telephone, computer, keyboard, screen, television, camera, radio, printer,
battery, cable, light bulb, candle, book, newspaper, letter, map, pen, pencil, paintbrush, scissors, hammer, saw,
screwdriver, ladder, rope, chain, key, lock, box, basket, bag, suitcase, umbrella, hat, coat, shirt, dress, trousers,
skirt, shoe, boot, sock, glove, scarf, belt, tie, necklace, ring, glasses, ball, kite, toy, doll, puppet, puzzle, chess
board, playing card, guitar, piano, violin, drum, trumpet, microphone, medal, trophy, coin, banknote, gift, painting,
drawing, photograph, poster, pattern, text, logo, diagram, chart, screenshot, document, receipt, stamp, tattoo,
sculpture, pottery, textile, wood, stone, metal, sand, skeleton, robot, tent, swimming pool, playground, wedding,
parade, concert, football match, surfing, skiing, running, swimming, dancing, sleeping, eating, reading
"""


@lru_cache(maxsize=1)
def background_texts() -> tuple[str, ...]:
    """Some hundred words and short phrases, each once."""
    return tuple(dict.fromkeys(" ".join(word.split()) for word in _WORDS.split(",")))
