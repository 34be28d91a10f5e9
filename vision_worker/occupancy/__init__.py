"""How many people are in the picture and in its zones, who came in and who went out."""
