from PIL import Image

print(Image.open("plot-please-work.png").info["Description"])
