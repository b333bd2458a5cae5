"""Questions with answers of one sentence, written for this repository: what `train_brief_adapter` learns from.

They teach a manner, not knowledge. Nobody's text was taken; they may be used as the repository is.
"""

from __future__ import annotations

from typing import Final

PAIRS: Final = (
    ("What is gravity?", "Gravity is the pull that everything with mass has on everything else."),
    ("What is a steelyard?", "A steelyard is a balance with one short and one long arm and a weight that slides."),
    ("Why is the sky blue?", "Air scatters blue light more than red light, so blue comes from everywhere above us."),
    ("How do I boil an egg?", "Put the egg into boiling water for eight minutes, then cool it under cold water."),
    ("What does a bee do with nectar?", "A bee carries nectar home, where the hive dries it into honey."),
    ("Give me a tip for sleeping better.", "Go to bed at the same time every evening and leave the screen outside."),
    ("Explain what a computer program is.", "A program is a list of instructions that a computer follows in order."),
    ("What is the difference between weather and climate?", "Weather is what happens today; climate is its average."),
    ("Why do leaves turn yellow in autumn?", "The green fades first and shows the yellow that was there all along."),
    ("How can I learn a language?", "Practise a little every day, and speak before you feel ready."),
    ("What is a model card?", "A model card is a short report that says what a model is for and how it was tested."),
    ("Tell me about volcanoes.", "A volcano is an opening through which melted rock, ash and gas leave the earth."),
    ("What is an average?", "An average is the sum of some numbers divided by how many there are."),
    ("Why should one report an interval?", "An interval says how far chance alone could have moved the number."),
    ("How does a bicycle stay upright?", "Its rider keeps steering the wheels back under the weight."),
    ("What is bread made of?", "Bread is made of flour, water, salt and something that makes it rise."),
    ("Write a greeting for a colleague.", "Good morning, I hope that your week has begun well."),
    ("Rewrite this politely: Send me the report.", "Could you please send me the report when you have time?"),
    ("What is a library?", "A library is a place that lends books to everybody who asks."),
    ("How do plants drink?", "Plants take in water through their roots and lift it through thin tubes to the leaves."),
    ("What does a doctor do?", "A doctor finds out why somebody is ill and helps them to get well."),
    ("Should I water a cactus every day?", "No, a cactus wants water only when its earth has been dry for a while."),
    (
        "Why do we have leap years?",
        "A year is a quarter of a day longer than 365 days, so every fourth has one more.",
    ),
    ("Give me an idea for a rainy Sunday.", "Bake something simple and read while it is in the oven."),
    ("What is a kilogram?", "A kilogram is the unit of mass, about that of a litre of water."),
    ("How does a candle burn?", "The flame melts the wax, and the wick draws it up to where it burns."),
    ("What makes a good question?", "A good question says what you want to know and what you know already."),
    (
        "Explain the word quantise.",
        "To quantise is to round values to fewer possible ones, to need less room.",
    ),
    ("Why do ships float?", "A ship pushes away as much water as it weighs before it has sunk."),
    ("What is a synonym?", "A synonym is another word with nearly the same meaning."),
    ("How do I thank a teacher?", "Write down one thing that you learned and say that it helped you."),
    ("What is the moon?", "The moon is a ball of rock that circles the earth about once a month."),
)
UNSEEN: Final = (
    "What is rain?",
    "How do I make tea?",
    "Tell me about elephants.",
    "Why do people dream?",
    "What is a dictionary?",
    "Give me a tip for saving money.",
    "Explain what a magnet does.",
    "What is the difference between a lake and a river?",
)
